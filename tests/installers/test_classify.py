import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.errors import VerlEnvError
from verl_env.installers.classify import TAIL, classify, tail

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CASES = tomllib.loads(Path(__file__).with_name("outputs.toml").read_text(encoding="utf-8"))["case"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_real_outputs(case):
    error = classify("uv", ("uv", "pip", "install"), 101, case["output"])
    assert error.id == case["error"]
    for name, value in case.get("attributes", {}).items():
        found = getattr(error, name)
        found = str(found) if name == "path" else found
        assert (list(found) if isinstance(found, tuple) else found) == value
    assert error.message
    assert error.hint
    assert error.exit_code == 1


def test_a_failure_that_is_not_known_shows_the_end_of_the_output_and_the_command():
    error = classify("pip", ("pip", "install", "x"), -9, "\n".join(f"line {n}\n" for n in range(50)))
    assert "killed by signal 9" in error.message
    assert "line 49" in error.message
    assert "line 30" not in error.message
    assert "pip install x" in error.hint


def test_the_tail_has_lines_that_say_something():
    assert tail("a\n\n  \nb\n") == ["a", "b"]
    assert len(tail("x\n" * 100)) == TAIL


@given(st.text(max_size=300))
def test_any_output_gives_an_error(output):
    error = classify("uv", ("uv",), 1, output)
    assert isinstance(error, VerlEnvError)
    assert error.message
