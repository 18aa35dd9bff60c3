from __future__ import annotations

from typing import Any

import pytest

from tests.locksets import samples
from tests.locksets.indexes import Folder, serving
from verl_env.installers.step_resolver import UvResolver
from verl_env.locksets.errors import FileMissingError, HashUnknownError, MetadataUnknownError, ReplayError
from verl_env.locksets.index import Index
from verl_env.locksets.recipe import load_recipe
from verl_env.locksets.replay import Replay
from verl_env.locksets.target import LockTarget


@pytest.fixture
def replay(tmp_path, folder):
    """Runs the steps of a recipe for Python 3.10 and gives name and version of what is there at the end."""

    def run(*steps: dict[str, Any], python: str = "3.10", **changes: Any):
        titled = [{"title": str(number), **step} for number, step in enumerate(steps, 1)]
        recipe = load_recipe(samples.write_recipe(tmp_path / "constraints", steps=titled, **changes))
        target = LockTarget(python, "x86_64", "2.35")
        run.replay = Replay(recipe, target, Index(folder.url), UvResolver, run.said.append)
        run.pins = run.replay.run()
        return {name: pin.version for name, pin in run.pins.items() if not pin.virtual}

    run.said = []
    return run


def test_each_step_keeps_what_satisfies_and_the_last_one_wins(replay, folder):
    samples.fill(folder)
    folder.add("late", "1.0", ["cudnn==2.0"])
    found = replay(
        {"install": ["torch==8.8.0", "numpy<2"]},
        {"install": ["engine==1.2.post3"]},
        {"install": ["late"]},
        {"install": ["numpy"]},
        {"install": ["cudnn"]},
    )
    assert found == {
        "torch": "8.8.0", "numpy": "1.26.4", "engine": "1.2.post3", "helper": "1.0", "late": "1.0", "cudnn": "2.0",
    }  # fmt: skip
    assert len(replay.said) == 5


def test_a_joint_solve_would_give_something_else(replay, folder):
    samples.fill(folder)
    folder.add("late", "1.0", ["cudnn==2.0"])
    with pytest.raises(ReplayError, match=r"cudnn"):
        replay({"install": ["torch==8.8.0", "late"]})


def test_no_deps_brings_the_package_alone(replay, folder):
    samples.fill(folder)
    assert replay({"install": ["verl==9.9.1"], "no_deps": True}) == {"verl": "9.9.1"}


def test_uninstall_removes_and_does_not_mind_what_is_not_there(replay, folder):
    samples.fill(folder)
    assert replay({"install": ["helper", "cudnn"]}, {"uninstall": ["Helper", "nothing"]}) == {"cudnn": "2.0"}


@pytest.mark.parametrize(("upgrade", "version"), [(True, "2.0"), (False, "1.0")])
def test_upgrade_moves_what_is_named(replay, folder, upgrade, version):
    samples.fill(folder)
    found = replay({"install": ["cudnn==1.0", "numpy<2"]}, {"install": ["cudnn"], "upgrade": upgrade})
    assert found == {"cudnn": version, "numpy": "1.26.4"}


def test_upgrade_leaves_dependencies_that_satisfy(replay, folder):
    samples.fill(folder)
    folder.add("tool", "1.0", ["helper"])
    folder.add("tool", "2.0", ["helper"])
    folder.add("helper", "0.9")
    found = replay({"install": ["tool==1.0", "helper==0.9"]}, {"install": ["tool"], "upgrade": True})
    assert found == {"tool": "2.0", "helper": "0.9"}


def test_unquoted_bounds_vanish_as_they_did_in_the_shell(replay, folder):
    samples.fill(folder)
    folder.add("tool", "1.0", ["helper[fast]<1"])
    folder.add("helper", "0.9")
    steps = {"install": ["helper==0.9"]}, {"install": ["helper>=1.0"], "unquoted": ["helper>=1.0"]}
    assert replay(*steps) == {"helper": "0.9"}
    assert replay(steps[0], {"install": ["helper>=1.0"]}) == {"helper": "1.0"}


def test_unquoted_keeps_extras(replay, folder):
    folder.add("tool", "1.0", ["helper; extra == 'fast'"])
    folder.add("helper", "1.0")
    assert set(replay({"install": ["tool[fast]>=7"], "unquoted": ["tool[fast]>=7"]})) == {"tool", "helper"}


def test_unquoted_must_be_installed(replay):
    with pytest.raises(ReplayError, match="y>=1"):
        replay({"install": ["x>=1"], "unquoted": ["y>=1"]})


@pytest.mark.parametrize(("python", "found"), [("3.10", {"helper": "1.0"}), ("3.11", {})])
def test_requirements_for_other_pythons_are_left_out(replay, folder, python, found):
    samples.fill(folder)
    assert replay({"install": ["helper; python_version < '3.11'"]}, python=python) == found


def test_a_virtual_component_is_seen_by_later_steps_and_brings_its_requirements(replay, folder):
    samples.fill(folder)
    folder.add("attention", "9.0")
    folder.add("tool", "1.0", ["attention>=2"])
    found = replay(
        {"virtual": [{"name": "Attention", "version": "2.7", "requires": ["helper"]}]}, {"install": ["tool"]}
    )
    assert found == {"helper": "1.0", "tool": "1.0"}
    assert replay.pins["attention"].version == "2.7"
    assert replay.pins["attention"].virtual


def test_a_virtual_component_may_be_replaced_and_removed(replay, folder):
    folder.add("attention", "9.0")
    build = {"virtual": [{"name": "attention", "version": "2.7"}]}
    assert replay(build, {"install": ["attention>=3"]}) == {"attention": "9.0"}
    assert replay(build, {"uninstall": ["attention"]}) == {}
    assert "attention" not in replay.pins


def test_overrides_excludes_and_dates_of_packages(replay, folder):
    folder.add("engine", "1.0", ["grammar==0.1.16", "gone", "calm"])
    folder.add("grammar", "0.1.17")
    folder.add("calm", "1.0")
    folder.add("calm", "2.0", uploaded="2025-09-01T00:00:00Z")
    found = replay(
        {"install": ["engine"]},
        overrides=[{"requirement": "grammar==0.1.17", "reason": "r"}],
        excludes=[{"name": "gone", "reason": "r"}],
        dates=[{"name": "calm", "date": "2025-10-01T00:00:00Z", "reason": "r"}],
    )
    assert found == {"engine": "1.0", "grammar": "0.1.17", "calm": "2.0"}


def test_a_step_may_have_a_date_of_its_own(replay, folder):
    samples.fill(folder)
    assert replay({"install": ["helper"], "date": "2025-12-31T00:00:00Z"}) == {"helper": "1.1"}


def test_a_prerelease_comes_only_where_it_is_allowed(replay, folder):
    folder.add("engine", "1.0", ["flash"])
    folder.add("flash", "0.1")
    folder.add("flash", "0.2rc1")
    assert replay({"install": ["engine"]}) == {"engine": "1.0", "flash": "0.1"}
    assert replay({"install": ["engine"]}, prereleases=["flash"]) == {"engine": "1.0", "flash": "0.2rc1"}


def test_a_source_distribution_is_taken_with_stated_requirements_only(replay, folder):
    samples.fill(folder)
    folder.add("old", "1.0", source=True)
    sdist = {"name": "old", "version": "1.0", "requires": ["helper"]}
    assert replay({"install": ["old"]}, sdists=[sdist]) == {"old": "1.0", "helper": "1.0"}
    assert replay.pins["old"].requires == ("helper",)
    with pytest.raises(ReplayError, match="old"):
        replay({"install": ["old"]})
    with pytest.raises((MetadataUnknownError, ReplayError)):
        replay({"install": ["old"]}, sdists=[{**sdist, "version": "0.9"}])


def test_wheels_are_preferred_to_a_newer_source_distribution(replay, folder):
    folder.add("av", "14.3")
    folder.add("av", "14.4", source=True)
    assert replay({"install": ["av"]}) == {"av": "14.3"}


def test_what_the_index_has_for_other_pythons_alone_is_an_error(replay, folder):
    folder.add("narrow", "1.0", tag="cp312-cp312-manylinux1_x86_64")
    with pytest.raises((FileMissingError, ReplayError), match="narrow"):
        replay({"install": ["narrow"]})


def test_a_file_without_a_hash_cannot_be_locked(replay, folder):
    folder.add("loose", "1.0", hashed=False)
    with pytest.raises(HashUnknownError) as caught:
        replay({"install": ["loose"]})
    assert (caught.value.name, caught.value.id) == ("loose", "hash-unrecorded")


def test_every_file_of_the_release_is_known_and_the_fitting_one_chosen(replay, folder):
    digests = {folder.add("wide", "1.0", tag=f"cp{minor}-cp{minor}-manylinux1_x86_64") for minor in (310, 311)}
    late = folder.add("wide", "1.0", tag="cp313-cp313-manylinux1_x86_64", uploaded="2025-09-01T00:00:00Z")
    replay({"install": ["wide"]})
    pin = replay.pins["wide"]
    assert {file.sha256 for file in pin.files} == digests
    assert late not in digests
    assert pin.file.name == "wide-1.0-cp310-cp310-manylinux1_x86_64.whl"
    assert not pin.by_url


@pytest.fixture
def other(tmp_path):
    return Folder(tmp_path / "other")


def test_an_index_of_a_step(replay, folder, other):
    samples.fill(folder)
    digest = other.add("torch", "8.8.0+cu9", ["helper"])
    other.add("helper", "1.0")
    found = replay({"install": ["torch==8.8.0"], "index_url": other.url})
    assert found == {"torch": "8.8.0+cu9", "helper": "1.0"}
    pin = replay.pins["torch"]
    assert (pin.by_url, pin.file.sha256, pin.file.url) == (
        True, digest, (other.root / "files" / "torch-8.8.0%2Bcu9-py3-none-any.whl").as_uri().replace("%25", "%"),
    )  # fmt: skip
    assert not replay.pins["helper"].by_url, "the default index has the very same file"


def test_a_page_of_links_of_a_step(replay, folder, other):
    samples.fill(folder)
    other.add("flash", "0.2+cu9", ["helper"])
    with serving(other.root) as address:
        found = replay({"install": ["flash"], "find_links": [f"{address}/flash/"]})
    assert found == {"flash": "0.2+cu9", "helper": "1.0"}
    assert replay.pins["flash"].by_url
    assert not replay.pins["helper"].by_url
