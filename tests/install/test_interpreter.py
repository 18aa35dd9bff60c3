import sys

import pytest

from tests.install.plans import PYTHON
from verl_env.install import interpreter
from verl_env.install.errors import InterpreterMissingError
from verl_env.install.interpreter import find_interpreter
from verl_env.machine.model import Machine, PythonInterpreter


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def host(monkeypatch):
    """The interpreters that a probe of this host finds."""
    found = []
    monkeypatch.setattr(interpreter, "probe_pythons", lambda *_: Machine(pythons=tuple(found)))
    return found


def test_the_recorded_interpreter_is_taken_where_it_works(host):
    assert find_interpreter(PYTHON, sys.executable) == sys.executable


@pytest.mark.parametrize("text", [None, "exit 127", "echo 2.7 cpython", f"echo {PYTHON} pypy", "echo", "kill -9 $$"])
def test_one_that_does_not_work_is_passed_over(tmp_path, host, text):
    candidate = str(tmp_path / "python") if text is None else script(tmp_path / "python", text)
    host.append(PythonInterpreter(f"{PYTHON}.1", sys.executable))
    assert find_interpreter(PYTHON, candidate) == sys.executable


def test_a_program_with_the_name_of_its_release_that_does_not_start_is_told_with_the_reason(tmp_path, host):
    """A Python that was copied from elsewhere does not find its libpython, whatever its name and headers say."""
    moved = script(tmp_path / f"python{PYTHON}", "echo libpython3.so: cannot open shared object file >&2; exit 127")
    with pytest.raises(InterpreterMissingError) as caught:
        find_interpreter(PYTHON, moved)
    assert caught.value.message == (
        f"there is no Python {PYTHON} on this host that starts: {moved}: libpython3.so: cannot open shared object file"
    )


def test_interpreters_of_other_releases_are_not_tried(tmp_path, host):
    marker = tmp_path / "ran"
    host.append(PythonInterpreter("3.1.5", script(tmp_path / "python", f"touch {marker}")))
    with pytest.raises(InterpreterMissingError) as caught:
        find_interpreter(PYTHON, None)
    assert not marker.exists()
    assert f"uv python install {PYTHON}" in caught.value.hint
    assert "module avail" in caught.value.hint


def test_the_users_python_settings_do_not_reach_it(monkeypatch, host):
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    assert find_interpreter(PYTHON, sys.executable) == sys.executable
