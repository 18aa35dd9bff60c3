"""An environment that is opened: its pins, and the variables of commands in it."""

import os
import subprocess

import pytest

from tests.install.plans import Recorder
from verl_env.additions.environment import open_environment, own_values, run_variables
from verl_env.additions.errors import NOTHING_THERE, CommandMissingError, NotMadeHereError, PipWouldDriftError
from verl_env.additions.model import Cause
from verl_env.environment.history import Change
from verl_env.environment.pins import FILE
from verl_env.environment.state import read_state
from verl_env.environment.wheelhouse import FOLDER

USER = {"PATH": "/usr/bin", "HOME": "/home/u", "PYTHONHOME": "/opt/python", "VIRTUAL_ENV": "/other"}


def test_what_the_user_says_of_wheels_stands_beside_those_of_the_environment(world):
    env = run_variables(open_environment(world.path), {**USER, "PIP_FIND_LINKS": "/opt/a /b", "UV_FIND_LINKS": "/c"})
    assert env["PIP_FIND_LINKS"] == f"{world.path}/{FOLDER} /opt/a /b"
    assert env["UV_FIND_LINKS"] == f"{world.path}/{FOLDER},/c"


def test_the_variables_of_a_command(world):
    env = run_variables(open_environment(world.path), USER)
    assert env == {
        "PATH": f"{world.path}/bin:/usr/bin",
        "HOME": "/home/u",
        "VIRTUAL_ENV": str(world.path),
        "DEMO_VARIABLE": "1",
        "UV_CONSTRAINT": f"{world.path}/{FILE}",
        "UV_FIND_LINKS": f"{world.path}/{FOLDER}",
        "PIP_PYTHON": f"{world.path}/bin/python",
    }


def test_inside_of_itself_nothing_is_there_twice(world):
    # As in a shell with its module file loaded, or activated.
    opened = open_environment(world.path)
    once = run_variables(opened, {**USER, "PIP_FIND_LINKS": "/opt/a /b", "UV_CONSTRAINT": "/c.txt"})
    assert run_variables(opened, once) == once


def test_a_pip_of_its_own_needs_no_help(world):
    (world.path / "bin" / "pip").write_text("")
    assert "PIP_PYTHON" not in run_variables(open_environment(world.path), USER)


def test_what_the_user_has_set_wins(world):
    opened = open_environment(world.path)
    user = USER | {"DEMO_VARIABLE": "2", "PIP_PYTHON": "/own/python"}
    env = run_variables(opened, user)
    assert (env["DEMO_VARIABLE"], env["PIP_PYTHON"]) == ("2", "/own/python")
    assert own_values(opened, user) == {"DEMO_VARIABLE": "2"}
    assert own_values(opened, USER | {"DEMO_VARIABLE": "1"}) == own_values(opened, USER) == {}


def test_without_a_path_there_is_one(world):
    env = run_variables(open_environment(world.path), {})
    assert env["PATH"] == f"{world.path}/bin{os.pathsep}{os.defpath}"


def test_an_environment_of_before_there_were_constraints(world, monkeypatch):
    """Its lockset says what is pinned, as far as it is there."""
    (world.path / FILE).unlink()
    lock = world.plan().lockset
    packages = [*world.lock, world.house.add("absent", "1.0")]
    monkeypatch.setattr("verl_env.locksets.catalogue.load_catalogue", lambda: (lock,))
    monkeypatch.setattr("verl_env.locksets.catalogue.packages_of", lambda *_, **__: packages)
    assert open_environment(world.path).pins == {"engine": "0.8", "numpy": "1.26.4", "torch": "2.6.0"}
    monkeypatch.setattr("verl_env.locksets.catalogue.load_catalogue", lambda: ())
    assert open_environment(world.path).pins == {}


def test_what_is_no_environment_of_ours_is_named(world, tmp_path):
    for path, found in (
        (tmp_path / "gone", "there is no environment at"),
        (tmp_path, "a directory"),
        (world.path / FILE, "a file"),
    ):
        with pytest.raises(NotMadeHereError, match=found) as caught:
            open_environment(path)
        assert f"--into {path}" in caught.value.hint


def test_an_environment_that_was_moved_is_still_ours(world):
    project = world.path.parent
    project.rename(project.with_name("moved"))
    opened = open_environment(project.with_name("moved") / world.path.name)
    assert opened.pins["torch"] == "2.6.0"
    world.path = opened.target.path
    world.site = opened.generation / world.site.relative_to(world.site.parents[2])
    world.add("thing", recorder=Recorder())
    assert read_state(world.path).path == str(world.path)
    assert (world.path / "bin" / "activate").read_text().count(str(world.path))
    assert subprocess.check_output([world.path / "bin" / "thing"], text=True) == "thing\n"


def test_hints_name_the_environment_only_where_it_is_another(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here, there = tmp_path / ".venv", tmp_path / "my env"
    assert NotMadeHereError(here, NOTHING_THERE).hint.startswith("make one: verl-env install --stack vllm;")
    assert f"--stack vllm --into '{there}';" in NotMadeHereError(there, NOTHING_THERE).hint
    assert f"--into {here}-verl" in NotMadeHereError(here, "a virtual environment").hint
    assert CommandMissingError("x", here).hint.endswith("verl-env pip install NAME")
    assert CommandMissingError("x", there).hint.endswith(f"verl-env pip --into '{there}' install NAME")


def test_what_belongs_to_the_lockset_is_said_to_when_it_is_taken_out():
    cause = Cause("torch", "2.6.0", "engine 0.8", "torch==2.6.0")
    error = PipWouldDriftError("uninstall", ["torch"], "a/b", [cause], [Change("-", "torch", "2.6.0", None)])
    assert error.message == "torch belongs to a/b\n  engine 0.8 needs torch==2.6.0, and torch is locked at 2.6.0"
