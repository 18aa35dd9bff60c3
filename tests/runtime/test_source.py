from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verl_env_runtime.source import functions, normalised, tree_at

from . import fakes

METHOD = """class A:
    def f(self, layer, *rest, key=1, **more):
        x = layer.w  # a comment
        return "# no comment" + x


def g(a, /, b):
    pass
"""


def test_functions_and_their_parameters():
    found = functions(METHOD)
    assert found["A.f"].parameters == ("self", "layer", "*rest", "key=", "**more")
    assert found["g"].parameters == ("a", "b")


def test_comments_and_white_space_do_not_count():
    other = METHOD.replace("  # a comment", "").replace("x = layer.w", "x  =  layer.w\n\n        # more\n")
    assert functions(other)["A.f"].fingerprint == functions(METHOD)["A.f"].fingerprint


def test_text_and_code_count():
    for old, new in [("no comment", "a comment"), ("layer.w", "layer.v"), ("key=1", "key=2")]:
        assert functions(METHOD.replace(old, new))["A.f"].fingerprint != functions(METHOD)["A.f"].fingerprint


@given(st.text(alphabet="abc#'\" \n=()", max_size=40))
def test_normalised_never_fails(text):
    assert not any(character.isspace() for character in normalised(text))


def test_the_version_is_that_of_the_metadata_beside_it(tmp_path):
    root = fakes.write_vllm(tmp_path, "0.8.5.post1")
    (root / "_version.py").write_text("__version__ = version = '9.9'\n")
    assert tree_at(root).version == "0.8.5.post1"


@pytest.mark.parametrize("line", ["__version__ = version = '0.8.2'", '__version__ = "0.8.2"', "version = '0.8.2'"])
def test_without_metadata_it_is_vllms_own_file(tmp_path, line):
    root = fakes.write_vllm(tmp_path)
    next(tmp_path.glob("*.dist-info")).rename(tmp_path / "gone")
    (root / "_version.py").write_text(f"{line}\n")
    assert tree_at(root).version == "0.8.2"


def test_without_both_it_is_unknown(tmp_path):
    root = fakes.write_vllm(tmp_path)
    next(tmp_path.glob("*.dist-info")).rename(tmp_path / "gone")
    assert tree_at(root).version is None


def test_what_is_not_there(tmp_path):
    tree = tree_at(fakes.write_vllm(tmp_path))
    assert tree.function("vllm.nowhere", "A.f") is None
    assert tree.function("vllm.lora.worker_manager", "WorkerLoRAManager.other") is None
    assert tree.function("vllm.lora.worker_manager", "WorkerLoRAManager._load_adapter") is not None
    assert "vllm" not in sys.modules


@pytest.mark.parametrize(
    ("own", "expected"),
    [("0.9.2", "0.9.2"), ("0.10.0", "0.10.0"), ("0.10.0.post0", "0.10.0.post0"), ("0.11.0", "0.11.0"), (None, None)],
)
def test_of_two_metadata_the_one_that_came_with_the_code(tmp_path, own, expected):
    root = fakes.write_vllm(tmp_path, "0.10.0")
    other = tmp_path / "vllm-0.9.2.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.9.2\n")
    if own is not None:
        (root / "_version.py").write_text(f"__version__ = version = '{own}'\n")
    assert tree_at(root).version == expected
