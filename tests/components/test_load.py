"""The catalogue as commands read it: compiled where that is fresh, parsed where it is not, decoded when asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.components import samples
from verl_env.components import load
from verl_env.components.errors import ComponentInvalidError
from verl_env.components.load import load_catalogue


def forbid_toml(monkeypatch):
    def fail(file):
        raise AssertionError(f"{file} was parsed")

    monkeypatch.setattr(load, "parse_toml", fail)


def contents(catalogue):
    return {name: catalogue.components[name] for name in catalogue.components}


def test_compiled_and_parsed_components_are_equal(tmp_path, monkeypatch):
    parsed = load_catalogue(samples.write(tmp_path))
    assert list(contents(parsed)) == ["fast-thing", "plain"]
    samples.write(tmp_path, compiled=True)
    forbid_toml(monkeypatch)
    compiled = load_catalogue(tmp_path)
    assert contents(compiled) == contents(parsed)
    assert (compiled.compilers, compiled.capabilities, compiled.abi) == (
        parsed.compilers,
        parsed.capabilities,
        parsed.abi,
    )


def test_the_toolchain_is_no_component(tmp_path):
    catalogue = load_catalogue(samples.write(tmp_path))
    assert "toolchain" not in catalogue.components
    assert len(catalogue.components) == 2
    assert catalogue.compilers


def test_a_component_is_decoded_when_it_is_asked_for(tmp_path):
    catalogue = load_catalogue(samples.write(tmp_path, plain="schema = 1\nname = 3\nreleases = []"))
    assert catalogue.components["fast-thing"] is catalogue.components["fast-thing"]
    with pytest.raises(ComponentInvalidError) as caught:
        _ = catalogue.components["plain"]
    assert caught.value.key == "name"
    assert str(caught.value.file) == str(tmp_path / "components" / "plain.toml")


def test_an_edited_file_is_seen(tmp_path):
    samples.write(tmp_path, compiled=True)
    samples.write(tmp_path, plain=samples.PLAIN.replace('"3"', '"4"'))
    assert load_catalogue(tmp_path).components["plain"].release("4")
    assert load_catalogue(tmp_path).components["plain"].release("3") is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"schema": 2, "files": {}}', '{"schema": 1}', '{"schema": 1, "files": {"plain": {}}}'],
)
def test_a_broken_compiled_file_is_passed_over(tmp_path, text):
    samples.write(tmp_path, compiled=True)
    expected = contents(load_catalogue(tmp_path))
    (tmp_path / "components.json").write_text(text)
    assert contents(load_catalogue(tmp_path)) == expected


@pytest.mark.parametrize(
    ("text", "key"),
    [("= 1", ""), ("schema = 1\nname = 'plain'", "releases"), ("schema = 1\nname = 'plane'\nreleases = []", "name")],
)
def test_an_error_names_file_key_and_reason(tmp_path, text, key):
    catalogue = load_catalogue(samples.write(tmp_path, plain=text))
    with pytest.raises(ComponentInvalidError) as caught:
        _ = catalogue.components["plain"]
    error = caught.value
    assert error.key == key
    assert str(tmp_path / "components" / "plain.toml") in error.message
    assert error.reason in error.message
    assert "docs/components.md" in error.hint


def test_an_error_in_the_toolchain_comes_at_once(tmp_path):
    samples.write(tmp_path, toolchain="schema = 1")
    with pytest.raises(ComponentInvalidError) as caught:
        load_catalogue(tmp_path)
    assert caught.value.key in {"abi", "capabilities", "compilers"}


def test_a_folder_without_components_is_an_empty_catalogue(tmp_path):
    catalogue = load_catalogue(tmp_path)
    assert contents(catalogue) == {}
    assert (catalogue.compilers, catalogue.capabilities, catalogue.abi) == ((), (), ())


def test_a_component_that_is_not_there_is_no_key(tmp_path):
    catalogue = load_catalogue(samples.write(tmp_path))
    assert catalogue.components.get("nothing") is None
    assert "nothing" not in catalogue.components


def test_the_variable_points_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("VERL_ENV_CONSTRAINTS", str(samples.write(tmp_path)))
    assert list(load_catalogue().components) == ["fast-thing", "plain"]


def test_the_fast_path_imports_no_toml_parser_and_no_slow_module(tmp_path):
    samples.write(tmp_path, compiled=True)
    code = (
        "import sys; from pathlib import Path; from verl_env.components.load import load_catalogue;"
        "catalogue = load_catalogue(Path(sys.argv[1])); assert catalogue.components['fast-thing'].releases;"
        "slow = {'tomllib', 'tomli', 'packaging', 'subprocess', 'dataclasses', 'hashlib'};"
        "print(sorted(slow & sys.modules.keys()))"
    )
    command = [sys.executable, "-S", "-c", code, str(tmp_path)]
    env = {"PYTHONPATH": str(Path(load.__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "[]"


def test_the_compiled_file_is_json(tmp_path):
    samples.write(tmp_path, compiled=True)
    table = json.loads((tmp_path / "components.json").read_text())
    assert sorted(table["files"]) == ["fast-thing", "plain", "toolchain"]
