"""uv is found where users have it, in the same order for installing and for locking."""

import pytest

from verl_env import uv_program as module
from verl_env.uv_program import uv_program


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Nothing anywhere; a function that puts a program into a place."""
    monkeypatch.setattr(module, "_of_package", lambda: None)
    monkeypatch.setattr(module.sys, "executable", str(tmp_path / "beside" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))

    def put(place, mode=0o755):
        path = tmp_path / place / "uv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(mode)
        return str(path)

    return put


def test_the_order(places, monkeypatch):
    assert uv_program() is None
    path = places("path")
    assert uv_program() == path
    beside = places("beside")
    assert uv_program() == beside
    monkeypatch.setattr(module, "_of_package", lambda: "/package/uv")
    assert uv_program() == "/package/uv"


def test_what_cannot_be_run_is_passed_over(places):
    path = places("path")
    places("beside", 0o644)
    assert uv_program() == path


def test_a_package_without_its_program_is_none(monkeypatch):
    uv = pytest.importorskip("uv")

    def gone():
        raise FileNotFoundError

    monkeypatch.setattr(uv, "find_uv_bin", gone)
    assert module._of_package() is None


def test_no_package_is_none(monkeypatch):
    monkeypatch.setitem(module.sys.modules, "uv", None)
    assert module._of_package() is None
