"""What was added survives repairs and other locksets; what needed a moved pin does not."""

import shutil
import subprocess

import pytest

from tests.install.alter.test_change import LOCK
from tests.install.plans import PYTHON, Recorder, lockset, options
from verl_env.additions.errors import PipWouldDriftError
from verl_env.environment.target import open_target
from verl_env.install.inspect import inspect
from verl_env.installers.uv import find_uv

NEXT = lockset(id="verl0.2/next")


def uv_pip(world, *arguments):
    command = [find_uv().executable, "pip", *arguments, "--python", world.path / "bin" / "python", "--quiet"]
    source = ["--no-index", "--find-links", world.house.path] if arguments[0] == "install" else []
    subprocess.run([*command, *source], check=True)


def test_an_environment_with_additions_needs_nothing(world):
    world.add("thing")
    assert not world.install().done
    assert world.have == LOCK | {"thing": "1.0", "helper": "0.2"}


def test_a_repair_keeps_them_and_asks_no_resolver(world, installer, monkeypatch):
    world.add("thing")
    uv_pip(world, "uninstall", "numpy")
    monkeypatch.setattr("verl_env.additions.keep.resolve", lambda *_: pytest.fail("resolved"))
    assert world.install(installer=installer).done
    assert world.have == LOCK | {"thing": "1.0", "helper": "0.2"}
    assert (world.site / "numpy" / "__init__.py").exists()
    assert world.extras == {"thing": "thing", "helper": None}
    assert not world.install().done


def test_one_that_is_gone_or_damaged_comes_back(world, installer):
    world.add("thing")
    uv_pip(world, "uninstall", "helper")
    shutil.rmtree(world.site / "thing")
    recorder = Recorder()
    outcome = world.install(installer=installer, recorder=recorder)
    assert [(change.kind, change.name) for change in outcome.changes] == [("+", "helper"), ("~", "thing")]
    assert (world.site / "thing" / "__init__.py").exists()
    assert "beside the lock: helper 0.2, thing 1.0" in recorder.notes


def test_one_that_nobody_recorded_goes_as_before(world):
    uv_pip(world, "install", "thing")
    world.install()
    assert world.have == LOCK


def test_another_lockset_gets_what_was_asked_for_under_its_pins(world, installer):
    world.add("thing")
    newer = [world.house.add("numpy", "2.1.0"), world.house.add("torch", "2.7.0", requires=["numpy"])]
    world.install(newer, lock=NEXT, installer=installer)
    assert world.have == {"numpy": "2.1.0", "torch": "2.7.0", "thing": "2.0"}
    assert world.extras == {"thing": "thing"}
    assert len(list(world.site.glob("thing-*.dist-info"))) == 1
    assert not world.install(newer, lock=NEXT).done


def test_where_the_same_goes_with_another_lockset_it_is_carried_over(world, installer):
    world.add("helper", "thing==1.0")
    inode = (world.site / "thing" / "__init__.py").stat().st_ino
    world.install(lock=NEXT, installer=installer)
    assert (world.site / "thing" / "__init__.py").stat().st_ino == inode
    assert world.extras == {"thing": "thing==1.0", "helper": "helper"}


def test_what_does_not_go_with_another_lockset_is_an_error_and_nothing_changes(world):
    world.add("thing==1.0")
    newer = [world.house.add("numpy", "2.1.0")]
    with pytest.raises(PipWouldDriftError, match=r"numpy is locked at 2\.1\.0"):
        world.install(newer, lock=NEXT)
    assert world.have == LOCK | {"thing": "1.0", "helper": "0.2"}
    world.remove("thing", "helper")
    assert world.install(newer, lock=NEXT).done


def test_what_was_moved_on_purpose_goes_back_and_that_is_said(world, installer):
    world.add("helper")
    world.add("--allow-drift", "thing>=2")
    recorder = Recorder()
    world.install(installer=installer, recorder=recorder)
    assert world.have == LOCK | {"helper": "0.2"}
    assert (world.extras, world.state.drift) == ({"helper": "helper"}, {})
    assert recorder.warnings == [
        "numpy 2.1.0 was put there on purpose (verl-env pip --allow-drift); it is 1.26.4 again, as locked",
        "torch 2.7.0 was put there on purpose (verl-env pip --allow-drift); it is 2.6.0 again, as locked",
        "thing 2.0 goes: it could only be had by moving pins (thing>=2)",
    ]


def test_what_was_removed_on_purpose_comes_back_and_that_is_said(world):
    world.remove("numpy", allow_drift=True)
    recorder = Recorder()
    world.install(recorder=recorder)
    assert world.have == LOCK
    assert recorder.warnings == [
        "numpy was removed on purpose (verl-env pip --allow-drift); it is 1.26.4 again, as locked"
    ]


def test_a_plan_can_ask_for_more_than_its_lock(world, installer):
    made = world.plan(extras=["thing<2"])
    seen = inspect(made, open_target(world.path), options(world.tmp_path))
    assert seen.reason == "it lacks what is asked for with it (thing<2)"
    world.install(extras=["thing<2"], installer=installer)
    assert world.have == LOCK | {"thing": "1.0", "helper": "0.2"}
    assert world.extras == {"thing": "thing<2", "helper": None}
    assert not world.install(extras=["thing"]).done
    assert not world.install().done


def test_a_new_environment_with_additions(world, installer):
    world.path = world.path.with_name("other")
    world.site = world.path / "lib" / f"python{PYTHON}" / "site-packages"
    world.install(extras=["needs-engine"], installer=installer)
    assert world.have == LOCK | {"needs-engine": "1.0"}


def test_a_wish_that_does_not_go_with_the_lock_leaves_nothing(world):
    with pytest.raises(PipWouldDriftError, match="deep does not go with"):
        world.install(extras=["deep"])
    assert world.have == LOCK


def test_a_file_comes_back_from_its_path(world):
    wheel = world.house.path / "helper-0.2-py3-none-any.whl"
    world.add(str(wheel))
    shutil.rmtree(world.site / "helper")
    assert world.install().done, "files are looked at where nothing else is to do"
    assert (world.site / "helper" / "__init__.py").exists()
    shutil.rmtree(world.site / "helper")
    world.install(lock=NEXT)
    (extra,) = world.state.extras
    assert (extra.origin, extra.wish) == (wheel.as_uri(), str(wheel))
    assert (world.site / "helper" / "__init__.py").exists()
