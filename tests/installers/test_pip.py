import sys
from pathlib import Path

import pytest

from verl_env.installers.base import Batch, Cache, Source
from verl_env.installers.pip import Pip, find_pip

ENVIRONMENT = Path("/e/.venv.d/0001")
REQUIREMENTS = Path("/e/.venv.d/0001.stage/r.txt")


def test_an_environment_is_made_without_pip():
    command = Pip("26.0").make_environment(ENVIRONMENT, "/usr/bin/python3.10", ".venv")
    assert " ".join(command.argv) == "/usr/bin/python3.10 -I -m venv --without-pip --prompt .venv /e/.venv.d/0001"


def test_the_tools_own_pip_runs_for_the_environment():
    command = Pip("26.0").install(ENVIRONMENT, Batch(REQUIREMENTS))
    assert command.argv[:6] == (sys.executable, "-m", "pip", "--python", "/e/.venv.d/0001/bin/python", "install")
    assert command.env["PIP_NO_INPUT"] == "1"


@pytest.mark.parametrize(
    ("batch", "words", "without"),
    [
        ({}, ["--no-deps", "--require-hashes", "--requirement /e/.venv.d/0001.stage/r.txt"], ["--no-index"]),
        ({"hashes": False}, ["--no-deps"], ["--require-hashes"]),
        ({"isolated": False}, ["--no-build-isolation"], []),
        ({"build_constraints": Path("/c.txt")}, ["--build-constraint /c.txt"], []),
        ({"source": Source(("/wheels",))}, ["--find-links /wheels"], ["--no-index"]),
        ({"source": Source(("/wheels",), offline=True)}, ["--no-index --find-links /wheels"], []),
    ],
)
def test_exactly_the_lock_is_installed(batch, words, without):
    text = " ".join(Pip("26.0").install(ENVIRONMENT, Batch(REQUIREMENTS, **batch)).argv)
    assert all(word in text for word in words)
    assert not any(word in text for word in without)


def test_the_cache_is_where_pip_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_CACHE_DIR", "/scratch/pip")
    assert Pip("26.0").cache_for(tmp_path) == Cache(Path("/scratch/pip"), linked=False)
    monkeypatch.delenv("PIP_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/scratch")
    assert Pip("26.0").cache_for(tmp_path).path == Path("/scratch/pip")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert Pip("26.0").cache_for(tmp_path).path == Path("~/.cache/pip").expanduser()
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    assert Pip("26.0").cache_for(tmp_path).path is None


def test_there_is_always_one():
    assert int(find_pip().version.split(".")[0]) >= 25
