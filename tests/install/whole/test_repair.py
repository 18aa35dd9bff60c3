"""An environment that drifted, or is to be another one, is brought to the plan."""

import json
import os
import shutil
import subprocess

import pytest

from tests.install.plans import PYTHON, Recorder, check, lockset, options, plan
from tests.install.server import Index
from tests.install.whole.test_run import have
from tests.rounds import EITHER
from verl_env.environment.errors import DiskFullError
from verl_env.environment.history import Change
from verl_env.environment.pins import read_pins
from verl_env.environment.state import FILE, read_state
from verl_env.environment.target import open_target
from verl_env.install import prepare
from verl_env.install.run import install
from verl_env.installers.uv import find_uv
from verl_env.locksets.model import Package
from verl_env.wheels.misrecorded import own_file
from verl_env.wheels.runtime import runtime_version

RUNTIME = {"verl_env_runtime": runtime_version()}


class World:
    """One target and a wheelhouse that serves it."""

    def __init__(self, tmp_path, house, path):
        self.tmp_path = tmp_path
        self.house = house
        self.path = path
        self.site = path / "lib" / f"python{PYTHON}" / "site-packages"
        self.demo = house.add("demo", "1.0", scripts={"demo-run": "#!python\nprint('demo 1.0')\n"})
        self.other = house.add("other", "2.0")

    def install(self, packages=None, *, installer="uv", lock=None, recorder=None, **changes):
        settings = {"offline": True, "wheelhouse": self.house.path, "installer": installer, **changes}
        made = plan([self.demo, self.other] if packages is None else packages, lock=lock)
        return install(made, open_target(self.path), options(self.tmp_path, **settings), recorder or Recorder())

    def pip(self, *arguments):
        offline = ["--no-index", "--find-links", self.house.path] if arguments[0] == "install" else []
        uv, python = find_uv().executable, self.path / "bin" / "python"
        subprocess.run([uv, "pip", *arguments, "--python", python, "--quiet", *offline], check=True)


@pytest.fixture
def world(tmp_path, house, target_path):
    return World(tmp_path, house, target_path)


@pytest.fixture(params=EITHER)
def installer(request):
    return request.param


def test_a_finished_environment_needs_nothing_and_nothing_is_started(world, monkeypatch):
    world.install()
    before = os.readlink(world.path)  # noqa: PTH115
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a program was started"))
    outcome = world.install()
    assert (outcome.done, outcome.changes) == (False, ())
    assert os.readlink(world.path) == before  # noqa: PTH115


def test_a_removed_package_comes_back(world, installer):
    world.install(installer=installer)
    world.pip("uninstall", "other")
    recorder = Recorder()
    outcome = world.install(installer=installer, recorder=recorder)
    assert outcome.changes == (Change("+", "other", None, "2.0"),)
    assert have(world.path) == {"demo": "1.0", "other": "2.0"} | RUNTIME
    assert recorder.details["packages"] == "1 installed, 1 kept"


def test_an_upgraded_package_goes_back(world, installer):
    world.install(installer=installer)
    world.house.add("other", "2.1")
    world.pip("install", "other==2.1")
    outcome = world.install(installer=installer)
    assert outcome.changes == (Change("~", "other", "2.1", "2.0"),)
    assert have(world.path)["other"] == "2.0"
    assert (world.site / "other" / "__init__.py").read_text() == "version = '2.0'\n"


def test_a_foreign_package_goes(world, installer):
    world.install(installer=installer)
    world.house.add("extra", "3.0")
    world.pip("install", "extra")
    assert world.install(installer=installer).changes == (Change("-", "extra", "3.0", None),)
    assert "extra" not in have(world.path)
    assert not (world.site / "extra").exists()


def test_what_was_installed_over_from_elsewhere_goes_back(world, tmp_path):
    world.install()
    world.pip("install", "--force-reinstall", str(world.house.path / "other-2.0-py3-none-any.whl"))
    (change,) = world.install().changes
    assert (change.kind, change.name, change.new) == ("~", "other", "2.0")
    assert change.old.startswith("2.0 (from file://")


def test_a_package_that_lost_a_file_is_not_carried_over(world):
    world.install()
    (world.site / "other" / "__init__.py").unlink()
    shutil.rmtree(world.site / "demo-1.0.dist-info")
    recorder = Recorder()
    world.install(recorder=recorder)
    assert recorder.details["packages"] == "2 installed"
    assert (world.site / "other" / "__init__.py").exists()


def test_what_no_package_owns_is_left_behind_and_named(world):
    world.install()
    (world.site / "mine.py").write_text("")
    world.pip("uninstall", "other")
    recorder = Recorder()
    world.install(recorder=recorder)
    assert recorder.warnings == ["not carried over, as no package owns it: mine.py"]
    assert not (world.site / "mine.py").exists()


def test_where_files_cannot_be_linked_the_whole_environment_must_fit(world, monkeypatch):
    world.install()
    world.pip("uninstall", "other")
    huge = Package("demo", "1.0", world.demo.hashes, download_bytes=1, disk_bytes=10**16)
    monkeypatch.setattr(prepare, "hard_links_work", lambda *_: False)
    with pytest.raises(DiskFullError) as caught:
        world.install([huge, world.other])
    assert caught.value.need == 10**16
    monkeypatch.setattr(prepare, "hard_links_work", lambda *_: True)
    assert world.install([huge, world.other]).done


def test_kept_files_are_the_same_files(world):
    world.install()
    inode = (world.site / "demo" / "__init__.py").stat().st_ino
    world.pip("uninstall", "other")
    world.install()
    assert (world.site / "demo" / "__init__.py").stat().st_ino == inode
    assert subprocess.check_output([world.path / "bin" / "demo-run"], text=True) == "demo 1.0\n"


def test_another_lockset_takes_its_place(world, installer):
    world.install(installer=installer)
    newer = world.house.add("demo", "2.0", scripts={"demo-run": "#!python\nprint('demo 2.0')\n"})
    outcome = world.install([newer], lock=lockset(id="verl0.2/next"), installer=installer)
    assert outcome.changes == (Change("~", "demo", "1.0", "2.0"), Change("-", "other", "2.0", None))
    assert have(world.path) == {"demo": "2.0"} | RUNTIME
    assert subprocess.check_output([world.path / "bin" / "demo-run"], text=True) == "demo 2.0\n"
    code = "import verl_env_runtime; print(verl_env_runtime.lockset())"
    assert subprocess.check_output([world.path / "bin" / "python", "-c", code], text=True) == "verl0.2/next\n"


def test_the_same_packages_under_another_lockset_are_carried_over(world):
    world.install()
    recorder = Recorder()
    outcome = world.install(lock=lockset(id="verl0.2/next"), recorder=recorder)
    assert (outcome.done, outcome.changes) == (True, ())
    assert recorder.details["packages"] == "0 installed, 2 kept"
    assert read_state(world.path).lockset == "verl0.2/next"


def test_an_environment_by_pip_is_repaired_by_uv(world):
    world.install(installer="pip")
    world.pip("uninstall", "other")
    world.install(installer="uv")
    assert have(world.path) == {"demo": "1.0", "other": "2.0"} | RUNTIME
    assert read_state(world.path).installer == "uv"


@pytest.mark.parametrize("damage", ["state", "python", "generation", "link"])
def test_what_is_broken_is_made_anew(world, damage):
    world.install()
    generation = world.path.resolve()
    if damage == "state":
        (world.path / FILE).unlink()
    elif damage == "python":
        (world.path / "bin" / "python").unlink()
    elif damage == "generation":
        shutil.rmtree(generation)
    else:
        world.path.unlink()
    assert world.install().done
    assert have(world.path) == {"demo": "1.0", "other": "2.0"} | RUNTIME
    assert not world.install().done


def test_checks_that_were_left_out_are_made_up_for(world):
    lock = lockset(checks=(check(code="import demo"),))
    assert world.install(lock=lock, checks=False).checks == ()
    assert not world.install(lock=lock, checks=False).done
    outcome = world.install(lock=lock)
    assert outcome.done
    assert outcome.checks == ("import-demo",)
    assert not world.install(lock=lock).done


def test_a_project_that_was_moved_gets_its_paths_right(world, tmp_path):
    world.install()
    (tmp_path / "project").rename(tmp_path / "moved")
    world.path = tmp_path / "moved" / ".venv"
    world.site = world.path / "lib" / f"python{PYTHON}" / "site-packages"
    assert world.install().done
    script = world.path / "bin" / "demo-run"
    assert script.read_text().startswith(f"#!{world.path}/bin/python")
    assert subprocess.check_output([script], text=True) == "demo 1.0\n"


def test_running_programs_of_the_old_environment_keep_their_open_files(world):
    world.install()
    with (world.site / "demo" / "__init__.py").open() as file:
        world.install([world.house.add("demo", "2.0")], lock=lockset(id="verl0.2/next"))
        assert file.read() == "version = '1.0'\n"


def test_pip_and_uv_find_the_pins_and_what_the_user_said_stays(world):
    world.install()
    assert read_pins(world.path) == {"demo": "1.0", "other": "2.0"}
    conf = world.path / "pip.conf"
    assert f"constraint = {world.path}/verl-env-constraints.txt" in conf.read_text()
    conf.write_text(conf.read_text() + "[global]\nindex-url = https://i.example/simple\n")
    world.install([world.house.add("demo", "2.0")], lock=lockset(id="verl0.2/next"))
    assert read_pins(world.path) == {"demo": "2.0"}
    assert "index-url = https://i.example/simple" in conf.read_text()


def wreck(world, damage):
    """Damages ``other``, as a full disk, a clean-up or an editor does: in place, so in the cache of uv too."""
    module = world.site / "other" / "__init__.py"
    if damage == "folder":
        shutil.rmtree(world.site / "other")
    elif damage == "missing":
        module.unlink()
    elif damage == "record":
        (world.site / "other-2.0.dist-info" / "RECORD").unlink()
    else:
        module.write_text("" if damage == "empty" else "version = 'another'\n")


@pytest.mark.parametrize("damage", ["folder", "missing", "empty", "size", "record"])
def test_what_lost_or_changed_a_file_is_repaired(world, installer, damage):
    world.install(installer=installer)
    wreck(world, damage)
    outcome = world.install(installer=installer)
    why = "its RECORD cannot be read" if damage == "record" else "other/__init__.py is not as installed"
    assert outcome.changes == (Change("~", "other", "2.0", f"2.0 ({why})"),)
    assert (world.site / "other" / "__init__.py").read_text() == "version = '2.0'\n"
    assert not world.install(installer=installer).done


def test_a_first_installation_out_of_a_damaged_cache_is_whole(world, tmp_path):
    world.install()
    wreck(world, "empty")
    world.path = tmp_path / "project" / "second"
    world.site = world.path / "lib" / f"python{PYTHON}" / "site-packages"
    world.install()
    assert (world.site / "other" / "__init__.py").read_text() == "version = '2.0'\n"
    assert read_state(world.path).unlike == {}


def test_scripts_bytecode_and_the_installers_own_notes_may_change(world, installer):
    world.install(installer=installer)
    script = world.path / "bin" / "demo-run"
    script.write_text(script.read_text() + "# mine\n")
    for name in ("INSTALLER", "REQUESTED"):
        (world.site / "demo-1.0.dist-info" / name).write_text("another")
    subprocess.run([world.path / "bin" / "python", "-c", "import demo, other"], check=True)
    shutil.rmtree(world.site / "other" / "__pycache__")
    assert not world.install(installer=installer).done


@pytest.mark.parametrize("content", [None, ""])
def test_a_script_that_is_gone_or_empty_comes_back(world, content):
    world.install()
    script = world.path / "bin" / "demo-run"
    script.unlink() if content is None else script.write_text(content)
    assert world.install().changes == (Change("~", "demo", "1.0", "1.0 (../../../bin/demo-run is not as installed)"),)
    assert subprocess.check_output([script], text=True) == "demo 1.0\n"


def test_a_wheel_whose_own_record_is_wrong_is_installed_once(world, installer):
    odd = world.house.add("odd", "1.0", record_says={"odd/__init__.py": 3})
    assert world.install([odd], installer=installer).done
    assert not world.install([odd], installer=installer).done
    (world.site / "odd" / "__init__.py").unlink()
    assert [change.name for change in world.install([odd], installer=installer).changes] == ["odd"]


def test_what_a_wheel_brings_otherwise_than_its_record_says_is_fetched_anew_once(world, installer, tmp_path):
    odd = world.house.add("odd", "1.0", record_says={"odd/__init__.py": 3})
    size = len("version = '1.0'\n")
    notes = []
    for name in ("first", "second"):
        world.path = tmp_path / "project" / name
        recorder = Recorder()
        world.install([odd], installer=installer, recorder=recorder)
        notes.append([each for each in recorder.notes if "fetched anew" in each])
        assert dict(read_state(world.path).unlike["odd"]) == {"odd/__init__.py": size}
    assert ([len(each) for each in notes], json.loads(own_file().read_text())["wheels"]) == (
        [1, 0],
        {"odd==1.0": {"files": {"odd/__init__.py": size}}},
    )


def test_offline_what_is_known_of_a_wheel_is_no_damage_of_the_cache(world, tmp_path, monkeypatch):
    odd = world.house.add("odd", "1.0", record_says={"odd/__init__.py": 3})
    index = Index(world.house.path)
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.simple)
    world.install([odd], offline=False, wheelhouse=None)
    index.close()
    for name, warned in (("second", 0), ("third", 1)):
        if warned:
            own_file().unlink()
        world.path = tmp_path / "project" / name
        recorder = Recorder()
        world.install([odd], wheelhouse=None, recorder=recorder)
        assert len([each for each in recorder.warnings if "cache is damaged" in each]) == warned
        assert world.install([odd], wheelhouse=None).done == bool(warned)
