from __future__ import annotations

import json

import pytest

from tests.locksets import samples
from verl_env.installers.step_resolver import UvResolver
from verl_env.locksets.catalogue import load_catalogue
from verl_env.locksets.errors import RecipeMismatchError
from verl_env.locksets.index import Index, IndexFile
from verl_env.locksets.load import load_lockset, load_packages
from verl_env.locksets.make import catalogue_text, locked_versions, make_lockset, replay_python, tag_glibc
from verl_env.locksets.recipe import load_recipe
from verl_env.locksets.replay import Pinned
from verl_env.locksets.target import LockTarget

UNMET = [{"package": "verl", "requires": "Not_on.the-index", "reason": "kept out"}]
DEVIATIONS = [
    {"package": "numpy", "recipe": "*", "locked": "1.26.4", "reason": "r"},
    {"package": "not-on-the-index", "recipe": "*", "locked": "absent", "reason": "r"},
    {"package": "attention", "recipe": "another", "locked": "a build of its default branch", "reason": "a native"},
]


@pytest.fixture
def make(tmp_path, folder):
    """Makes the files of the sample recipe with some changes."""
    samples.fill(folder)

    def run(**changes):
        file = samples.write_recipe(tmp_path / "constraints", **({"unmet": UNMET} | changes))
        run.recipe = load_recipe(file)
        return make_lockset(run.recipe, Index(folder.url), UvResolver)

    return run


def test_the_files_of_a_lockset(make):
    files = make(deviations=DEVIATIONS)
    assert sorted(files) == ["lockset.toml", "py3.10.txt"]
    for name, text in files.items():
        (make.recipe.file.parent / name).write_text(text)
    lockset = load_lockset(make.recipe.file.parent / "lockset.toml")
    lock = lockset.pythons[0]
    packages = load_packages(make.recipe.file.parent, lock)
    assert [(package.name, package.version) for package in packages] == [
        ("cudnn", "1.0"), ("engine", "1.2.post3"), ("helper", "1.0"), ("numpy", "1.26.4"), ("torch", "8.8.0"),
        ("verl", "9.9.1"),
    ]  # fmt: skip
    assert (lock.python, lock.packages) == ("3.10", 6)
    assert lock.download_bytes == sum(package.download_bytes for package in packages)
    assert lock.disk_bytes == sum(package.disk_bytes for package in packages)
    assert [(u.package, u.requires, u.installed, u.reason) for u in lock.unmet] == [
        ("verl", "not-on-the-index", "absent", "kept out")
    ]
    assert len(lockset.deviations) == 3
    assert lockset.variant.commit == samples.LOCKSET["variant"]["commit"]


def test_the_same_inputs_give_the_same_bytes(make):
    assert make() == make()


def test_virtual_components_are_no_part_of_the_lock(make):
    steps = [{"title": "native", "virtual": [{"name": "cudnn", "version": "1.0"}]}, *samples.RECIPE["steps"]]
    assert "\ncudnn" not in make(steps=steps)["py3.10.txt"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"torch": "8.9.0"}, "torch is stated as 8.9.0, the replay gives 8.8.0"),
        ({"verl": "9.9.2"}, "verl is stated as 9.9.2, the replay gives 9.9.1"),
        ({"engines": {"rocket": "1"}}, "rocket is stated as 1, the replay gives absent"),
        (
            {"deviations": [{**DEVIATIONS[0], "locked": "2.0"}]},
            "the deviation of numpy says 2.0, the replay gives 1.26.4",
        ),
        ({"unmet": []}, "verl requires not-on-the-index, there is absent, and no [[unmet]] says why"),
        (
            {"unmet": [*UNMET, {"package": "torch", "requires": "cudnn", "reason": "r"}]},
            "[[unmet]] says that torch misses cudnn, and it does not",
        ),
        (
            {"requires": {**samples.LOCKSET["requires"], "glibc": {"minimum": "2.4", "source": "hope"}}},
            "glibc 2.4 is stated as enough, but torch 8.8.0 is tagged 2.5",
        ),
    ],
)
def test_what_a_recipe_states_is_held_against_the_replay(make, changes, problem):
    with pytest.raises(RecipeMismatchError) as caught:
        make(**changes)
    assert problem in caught.value.problems
    assert caught.value.message.startswith(f"{samples.ID}: ")


def test_every_problem_is_told_at_once(make):
    with pytest.raises(RecipeMismatchError) as caught:
        make(torch="0", verl="0", unmet=[])
    assert len(caught.value.problems) == 3


def test_a_lockset_for_two_pythons(make, folder):
    folder.add("numpy", "1.25", tag="cp311-cp311-manylinux1_x86_64")
    folder.add("torch", "8.8.0", tag="cp311-cp311-manylinux1_x86_64")
    files = make(
        pythons=["3.10", "3.11"],
        deviations=[{**DEVIATIONS[0], "locked": "1.26.4 (3.10), 1.25 (3.11)"}],
        sdists=[],
    )
    assert sorted(files) == ["lockset.toml", "py3.10-3.11.txt", "py3.10.txt", "py3.11.txt"]


def test_versions_that_differ_by_python_are_told_apart(make, folder):
    make()
    index = Index(folder.url)
    results = [replay_python(make.recipe, python, index, UvResolver, lambda _: None) for python in ("3.10", "3.10")]
    assert locked_versions("Torch", results) == "8.8.0"
    assert locked_versions("nothing", results) == "absent"


def files_of(*tags: str, name: str = "a-1") -> Pinned:
    files = tuple(IndexFile(f"{name}-{tag}.whl" if tag else f"{name}.tar.gz", "", None, None) for tag in tags)
    return Pinned("a", "1", (), virtual=False, files=files)


@pytest.mark.parametrize(
    ("tags", "glibc"),
    [
        (["cp310-cp310-manylinux_2_28_x86_64"], "2.28"),
        (["cp310-cp310-manylinux_2_17_x86_64.manylinux2014_x86_64", "cp310-cp310-manylinux_2_28_x86_64"], "2.17"),
        (["cp310-cp310-manylinux_2_28_x86_64", "cp311-cp311-manylinux1_x86_64"], "2.28"),
        (["cp310-cp310-manylinux_2_28_x86_64", ""], "2.28"),
        ([""], None),
        (["cp310-cp310-manylinux_2_28_x86_64", "py3-none-any"], None),
        (["cp310-cp310-linux_x86_64"], None),
        ([], None),
    ],
)
def test_the_glibc_that_tags_ask_for(tags, glibc):
    assert tag_glibc(files_of(*tags), LockTarget("3.10", "x86_64", "2.35")) == glibc


def test_the_catalogue_holds_every_lockset(tmp_path):
    samples.write_lockset(tmp_path)
    samples.write_lockset(tmp_path, id="verl1.0/b")
    text = catalogue_text(tmp_path)
    assert list(json.loads(text)["locksets"]) == ["verl1.0/b", samples.ID]
    assert text == catalogue_text(tmp_path)
    (tmp_path / "catalogue.json").write_text(text)
    assert len(load_catalogue(tmp_path)) == 2
