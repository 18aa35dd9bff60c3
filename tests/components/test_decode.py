"""The form of the catalogue's files."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.components import samples
from verl_env.components.decode import component, toolchain
from verl_env.constraints import parse_toml
from verl_env.records import NOTHING
from verl_env.shapes import FieldError


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The decoded file of the sample component."""
    root = samples.write(tmp_path_factory.mktemp("components"))
    return parse_toml(root / "components" / "fast-thing.toml")


@pytest.fixture(scope="module")
def fast(table):
    return component(copy.deepcopy(table))


def test_a_table_with_a_placeholder_is_one_wheel_for_each_python(fast):
    first, second, abi3 = fast.releases[0].wheels
    assert first.url.endswith("cxx11abiFALSE-cp310-cp310-linux_x86_64.whl")
    assert second.url.endswith("cxx11abiFALSE-cp312-cp312-linux_x86_64.whl")
    assert (first.pythons, second.pythons) == (("3.10",), ("3.12",))
    assert (first.sha256, second.sha256) == (None, "ab" * 32)
    assert abi3.pythons == ("3.10", "3.11")
    assert abi3.sha256 == "ab" * 32


def test_a_wheel_is_what_it_says_and_not_what_it_is_called(fast):
    wheel = fast.releases[0].wheels[0]
    assert wheel.cxx11abi is True
    assert (wheel.torch, wheel.torch_also, wheel.glibc) == ("2.7", ("2.8",), "2.32")


def test_what_is_not_stated_is_not_known(fast):
    wheel = fast.releases[0].wheels[2]
    assert (wheel.torch, wheel.cxx11abi, wheel.glibc, wheel.rocm) == (None, None, None, None)
    assert (wheel.gpus, wheel.torch_also) == ((), ())
    assert (wheel.built_on_glibc, wheel.address_confirmed) == (None, True)


def test_the_system_that_a_wheel_was_made_on_and_an_address_that_has_changed(table):
    changed = copy.deepcopy(table)
    changed["releases"][0]["wheels"][0] |= {"built_on_glibc": "2.31", "address_confirmed": False}
    found = component(changed).releases[0].wheels
    assert [(wheel.built_on_glibc, wheel.address_confirmed) for wheel in found[:2]] == [("2.31", False)] * 2


def test_templates_are_taken_over_one_below_the_other(fast):
    recipe = fast.releases[0].recipes[0]
    assert recipe.source == "sdist"
    assert recipe.job_bytes == 3_000_000_000
    assert dict(recipe.env) == {"MAX_JOBS": "{jobs}", "FORCE": "1"}
    assert recipe.tools[0].exact
    assert recipe.tools[0].same_major_as == "cuda"


def test_what_a_recipe_says_itself_wins_over_its_template(fast):
    recipe = fast.releases[1].recipes[0]
    assert recipe.source == "git+https://example.test/fast.git@v1"
    assert dict(recipe.env) == {"MAX_JOBS": "{jobs}"}
    assert recipe.commands == (("make", "prefix={prefix:fast-thing}"),)
    assert dict(recipe.links) == {"{site}/liba.so": "liba.so.1"}
    assert not recipe.torch


def test_a_plain_recipe_has_nothing_but_its_source():
    plain = component(
        {"schema": 1, "name": "a", "releases": [{"version": "1", "recipes": [{"source": "sdist", "sources": ["x"]}]}]}
    )
    recipe = plain.releases[0].recipes[0]
    assert (recipe.env, recipe.links, recipe.product, recipe.torch) == (NOTHING, NOTHING, "wheel", True)
    assert (plain.imports, plain.releases[0].minimum_gpu) == (None, None)


def test_decoding_changes_nothing_of_the_table(table):
    before = copy.deepcopy(table)
    assert component(table) == component(table)
    assert table == before


def change(table, path, value):
    """A copy of a table with one value put in place, or taken away where it is None."""
    copied = copy.deepcopy(table)
    place: Any = copied
    for part in path[:-1]:
        place = place[part]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return copied


WRONG = [
    (("schema",), 2, "schema"),
    (("schema",), None, "schema"),
    (("name",), None, "name"),
    (("name",), 3, "name"),
    (("surprise",), "x", "surprise"),
    (("releases",), None, "releases"),
    (("releases", 0, "version"), None, "releases[0].version"),
    (("releases", 0, "wheels", 0, "url"), None, "releases[0].wheels[0].url"),
    (("releases", 0, "wheels", 1, "sha256"), "short", "releases[0].wheels[1].sha256"),
    (("releases", 0, "wheels", 0, "sha256"), {"3.12": "short"}, "releases[0].wheels[0].sha256"),
    (("releases", 0, "wheels", 0, "glibc"), "2.x", "releases[0].wheels[0].glibc"),
    (("releases", 0, "wheels", 0, "cxx11abi"), "TRUE", "releases[0].wheels[0].cxx11abi"),
    (("releases", 0, "wheels", 0, "like"), "nothing", "like"),
    (("releases", 0, "wheels", 0, "like"), ["wheel"], "like"),
    (("templates", "build", "like"), "build", "like"),
    (("templates", "build", "like"), "forced", "like"),
    (("releases", 0, "wheels", 0, "sha256"), "ab" * 32, "sha256"),
    (("releases", 0, "wheels", 1, "sha256"), {"3.10": "ab" * 32}, "sha256"),
    (("releases", 0), 3, "releases[0]"),
    (("releases", 0, "wheels"), {}, "releases[0].wheels"),
    (("releases", 0, "recipes", 0), "sdist", "releases[0].recipes[0]"),
    (("releases", 0, "recipes", 0, "job_bytes"), -1, "releases[0].recipes[0].job_bytes"),
    (("releases", 0, "recipes", 0, "tools", 0, "reason"), None, "releases[0].recipes[0].tools[0].reason"),
    (
        ("releases", 0, "recipes", 0, "tools", 0, "same_major_as"),
        "hip",
        "releases[0].recipes[0].tools[0].same_major_as",
    ),
    (("releases", 1, "recipes", 0, "product"), "egg", "releases[1].recipes[0].product"),
    (("releases", 1, "recipes", 0, "commands"), ["make"], "releases[1].recipes[0].commands[0]"),
    (("templates", "build", "sources"), None, "releases[0].recipes[0].sources"),
]


@pytest.mark.parametrize(("path", "value", "key"), WRONG, ids=[f"{'.'.join(map(str, path))}" for path, _, _ in WRONG])
def test_what_is_wrong_is_named(table, path, value, key):
    with pytest.raises(FieldError) as caught:
        component(change(table, path, value))
    assert caught.value.key == key


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    )
)
def test_whatever_is_there_is_a_component_or_a_field_error(value):
    with pytest.raises(FieldError):
        component(value)


def test_a_row_of_compilers_is_one_limit_for_each_release(tmp_path):
    samples.write(tmp_path)
    compilers, capabilities, abi, toolkits = toolchain(parse_toml(tmp_path / "components" / "toolchain.toml"))
    assert [(limit.cuda, limit.gcc_below) for limit in compilers] == [("12.0", "13"), ("12.1", "13"), ("12.4", None)]
    assert [row.capability for row in capabilities] == ["7.0", "10.0"]
    assert abi[1].cuda == "12.4"
    assert toolkits == ()


@pytest.mark.parametrize("value", [{"schema": 1}, {"schema": 1, "compilers": [], "capabilities": [], "abi": [{}]}, []])
def test_a_wrong_toolchain_is_a_field_error(value):
    with pytest.raises(FieldError):
        toolchain(value)


def test_a_compiler_of_the_index_has_a_digest_for_each_file():
    row = {"cuda": "13.0", "nvcc": "13.0.88", "arch": "x86_64", "files": {"a.whl": "0" * 64}, "source": "a test"}
    tables = {"schema": 1, "compilers": [], "capabilities": [], "abi": []}
    (found,) = toolchain({**tables, "toolkits": [row]})[3]
    assert (found.nvcc, dict(found.files)) == ("13.0.88", row["files"])
    with pytest.raises(FieldError):
        toolchain({**tables, "toolkits": [{**row, "files": {"a.whl": "no digest"}}]})
