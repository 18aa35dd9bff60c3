import os
import sys
from pathlib import Path

import pytest

from tests.install.plans import options, plan
from verl_env.environment.errors import DiskFullError
from verl_env.environment.target import Target
from verl_env.install.errors import (
    ArchitectureMismatchError,
    InterpreterMissingError,
    VerlSourceInvalidError,
    WheelhouseInvalidError,
)
from verl_env.install.inspect import inspect
from verl_env.install.prepare import prepare
from verl_env.installers import uv as uv_module
from verl_env.installers.base import Cache
from verl_env.installers.choice import choose_installer
from verl_env.installers.failures import InstallerMissingError
from verl_env.installers.uv import Uv
from verl_env.locksets.model import Package
from verl_env.records import replace


@pytest.fixture
def uv(monkeypatch):
    """Says which uv there is."""
    return lambda found: monkeypatch.setattr(uv_module, "find_uv", lambda: found)


class Quick(Uv):
    """A uv that tells its cache without being started."""

    def cache_for(self, place):
        return Cache(None, linked=False)


def go(made, tmp_path, **changes):
    target = Target(tmp_path / ".venv")
    settings = options(tmp_path, **changes)
    before = sorted(tmp_path.rglob("*"))
    try:
        return prepare(made, target, settings, inspect(made, target, settings))
    finally:
        assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("asked", "there", "name"), [(None, True, "uv"), (None, False, "pip"), ("uv", True, "uv"), ("pip", True, "pip")]
)
def test_uv_is_taken_where_it_is_there(uv, asked, there, name):
    uv(Quick("/opt/uv", "0.9") if there else None)
    assert choose_installer(asked).name == name


def test_uv_on_request_must_be_there(uv):
    uv(None)
    with pytest.raises(InstallerMissingError) as caught:
        choose_installer("uv")
    assert "verl-env[uv]" in caught.value.hint


def test_everything_is_there(tmp_path, uv):
    uv(Quick("/opt/uv", "0.9"))
    tools = go(plan([]), tmp_path)
    assert (tools.installer.name, tools.interpreter) == ("uv", sys.executable)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"arch": "m68k"}, ArchitectureMismatchError),
        ({"python": "3.1", "interpreter": None}, InterpreterMissingError),
        ({"verl_source": "/nowhere"}, VerlSourceInvalidError),
        ({"packages": (Package("big", "1", (), download_bytes=1, disk_bytes=10**17),)}, DiskFullError),
    ],
)
def test_what_a_plan_may_lack_on_this_host(tmp_path, uv, changes, error):
    uv(Quick("/opt/uv", "0.9"))
    with pytest.raises(error):
        go(replace(plan([]), **changes), tmp_path)


@pytest.mark.parametrize("changes", [{"wheelhouse": Path("/nowhere")}, {"installer": "pip", "offline": True}])
def test_a_wheelhouse_that_is_needed_must_be_there(tmp_path, uv, changes):
    uv(Quick("/opt/uv", "0.9"))
    with pytest.raises(WheelhouseInvalidError):
        go(plan([]), tmp_path, **changes)


def test_offline_uv_may_have_everything_in_its_cache(tmp_path, uv):
    uv(Quick("/opt/uv", "0.9"))
    assert go(plan([]), tmp_path, offline=True).installer.name == "uv"


def test_the_mismatch_names_both(tmp_path):
    with pytest.raises(ArchitectureMismatchError) as caught:
        go(replace(plan([]), arch="m68k"), tmp_path)
    assert caught.value.message == f"the plan is for m68k, and this host is {os.uname().machine}"
