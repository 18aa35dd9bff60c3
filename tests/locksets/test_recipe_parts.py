"""What included files hold besides lists, and recipes of what is only recorded."""

from __future__ import annotations

import pytest
import tomli_w

from tests.locksets import samples
from verl_env.locksets.errors import LocksetInvalidError
from verl_env.locksets.make import make_lockset
from verl_env.locksets.recipe import load_recipe

PART = {
    "env": {"SPAWN": "of the part", "ONLY_THERE": "2"},
    "requires": {
        "driver": {"minimum": "470.82.01", "source": "of the part"},
        "gpu": [{"component": "part", "targets": ["8.0"], "ptx": False, "source": "of the part"}],
    },
}


def including(tmp_path, part, **changes):
    """A recipe that includes one file."""
    file = samples.write_recipe(tmp_path, include=["../part.toml"], **changes)
    (file.parent.parent / "part.toml").write_text(tomli_w.dumps({"schema": 1, **part}))
    return file


def test_tables_of_included_files_are_added_to(tmp_path):
    identity = load_recipe(including(tmp_path, PART)).identity
    assert identity["env"] == {"SPAWN": "1", "ONLY_THERE": "2", "EMPTY": ""}
    requires = samples.LOCKSET["requires"]
    assert identity["requires"]["gpu"] == [*PART["requires"]["gpu"], *requires["gpu"]]
    assert identity["requires"]["driver"] == requires["driver"]
    assert identity["requires"]["glibc"] == requires["glibc"]


def test_a_recipe_may_take_its_driver_from_an_included_file(tmp_path):
    own = {"arch": ["x86_64"], "gpu": []}
    identity = load_recipe(including(tmp_path, PART, requires=own)).identity
    assert identity["requires"] == {**PART["requires"], "arch": ["x86_64"]}


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ({"requires": {"arch": ["x86_64"]}}, "requires.arch"),
        ({"requires": {"driver": {"minimum": "new", "source": "x"}}}, "requires.driver.minimum"),
        ({"env": {"A": 1}}, "env.A"),
        ({"variant": {"path": "x"}}, "variant"),
        ({"pythons": ["3.10"]}, "pythons"),
    ],
)
def test_what_may_not_stand_in_an_included_file(tmp_path, part, key):
    with pytest.raises(LocksetInvalidError) as caught:
        load_recipe(including(tmp_path, part))
    assert (caught.value.file.name, caught.value.key) == ("part.toml", key)


def test_what_is_only_recorded_gives_its_lockset_without_an_index(tmp_path):
    recipe = load_recipe(samples.write_recipe(tmp_path, pythons=[], glibc=None, torch="unknown"))
    files = make_lockset(recipe, index=None, resolver=None)
    assert set(files) == {"lockset.toml"}
    assert 'tier = "recorded"' in files["lockset.toml"]
    assert "pythons = []" in files["lockset.toml"]


@pytest.mark.parametrize("change", [{"tier": "installed"}, {"installed": ["3.10"]}, {"planned": "x", "pythons": []}])
def test_no_recipe_says_how_far_it_was_tried(tmp_path, change):
    with pytest.raises(LocksetInvalidError, match=r"may stand here|goes with Pythons"):
        load_recipe(samples.write_recipe(tmp_path, **change))
