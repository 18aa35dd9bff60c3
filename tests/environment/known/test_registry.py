"""The environments of a user: written down, tolerant of what is gone or damaged, listed and removed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.environment.test_target import made
from verl_env.cli.main import main
from verl_env.environment.known import registry
from verl_env.environment.known.listing import listed
from verl_env.environment.known.registry import forget, known, register, registry_directory
from verl_env.environment.running import processes_in
from verl_env.environment.state import State, write_state
from verl_env.environment.target import Target


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def environment(tmp_path):
    """One of ours, with an interpreter and a record."""
    path = tmp_path / "my env" / ".venv"
    path.parent.mkdir()
    target = made(path)
    (path / "bin").mkdir()
    (path / "bin" / "python").symlink_to(sys.executable)
    write_state(path, State(str(path), "verl0.4/x", "vllm", "3.10", "0" * 64, None, {"apex": "no"}, (), made="2026"))
    register(path)
    return target


def paths():
    return [each.path for each in known()]


def run(*words, capsys):
    code = main(words)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_what_is_written_down_is_known_once(environment):
    register(environment.path)
    assert paths() == [environment.path]
    assert known()[0].host == socket.gethostname()
    forget(environment.path)
    assert paths() == []


def test_what_was_removed_by_hand_is_forgotten(environment):
    environment.path.unlink()
    assert paths() == [environment.path]
    assert [each.kind for each in listed()] == ["unfinished"]
    environment.store.rename(environment.store.with_name("elsewhere"))
    assert paths() == []
    assert not list(registry_directory().iterdir())


def test_what_cannot_be_seen_now_is_kept(tmp_path, monkeypatch):
    register(tmp_path / "unmounted" / ".venv")
    assert [each.kind for each in listed()] == ["unseen"]
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    register(tmp_path / ".venv")
    monkeypatch.undo()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert {(each.kind, each.host) for each in listed()} == {("unseen", "another"), ("unseen", socket.gethostname())}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[" * 100_000, b'{"schema": 1}', b'{"schema": 1, "path": "x", "host": 1}', b"\xff" * 99, None],
)
def test_a_damaged_file_is_passed_over(environment, content):
    file = registry_directory() / "bad.json"
    os.mkfifo(file) if content is None else file.write_bytes(content)
    assert paths() == [environment.path]


def test_a_state_directory_that_cannot_be_written_stops_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    register(tmp_path / ".venv")
    forget(tmp_path / ".venv")
    assert known() == ()
    monkeypatch.setenv("XDG_STATE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert registry.registry_directory() == tmp_path / "home" / ".local" / "state" / "verl-env" / "environments"


def test_every_change_writes_its_environment_down(world):
    world.install()
    assert paths() == [world.path]
    forget(world.path)
    world.install()  # nothing to do
    assert paths() == [world.path]


def test_the_environment_of_the_shell_and_here_are_listed(environment, monkeypatch, tmp_path):
    forget(environment.path)
    assert listed() == ()
    monkeypatch.setenv("VIRTUAL_ENV", str(environment.path))
    here = made(tmp_path / "work" / ".venv")
    assert [each.path for each in listed()] == [environment.path, here.path]
    assert [each.kind for each in listed(sizes=True)] == ["made", "made"]
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    assert [each.path for each in listed()] == [here.path]


def test_list_as_text_and_json(environment, capsys):
    code, text, _ = run("list", "--sizes", capsys=capsys)
    assert code == 0
    assert text.splitlines()[0] == str(environment.path)
    assert "verl0.4/x, Python 3.10, without apex" in text
    code, text, _ = run("list", "--json", capsys=capsys)
    (each,) = json.loads(text)["environments"]
    assert (each["path"], each["kind"], each["lockset"]) == (str(environment.path), "made", "verl0.4/x")
    assert (each["left_out"], each["generation"], each["processes"]) == (["apex"], "0001", [])
    environment.path.unlink()
    assert "did not end" in run("list", capsys=capsys)[1]


def test_no_environment(capsys):
    assert "no environment is known" in run("list", capsys=capsys)[1]
    assert json.loads(run("list", "--json", capsys=capsys)[1]) == {"schema": 1, "environments": []}


STARTS = {
    "by its path": lambda env: ([str(env / "bin" / "python")], {}, None),
    "by a relative path": lambda env: (["./bin/python"], {}, env),
    "activated": lambda env: (["python"], {"VIRTUAL_ENV": str(env), "PATH": str(env / "bin")}, None),
}


@pytest.mark.parametrize("how", STARTS)
def test_processes_that_run_in_it_are_told(environment, how, capsys):
    argv, variables, directory = STARTS[how](environment.path)
    program = sys.executable if how == "activated" else str(environment.path / "bin" / "python")
    code = "print(flush=True); import time; time.sleep(60)"
    env = {**os.environ, **variables}
    with subprocess.Popen(
        [*argv, "-c", code], executable=program, env=env, cwd=directory, stdout=subprocess.PIPE
    ) as process:
        try:
            process.stdout.readline()
            assert [each.pid for each in processes_in(environment)] == [process.pid]
            code, _, err = run("remove", str(environment.path), "--yes", capsys=capsys)
            assert code == 1
            assert "environment-in-use" in err
            assert str(process.pid) in err
            assert environment.path.exists()
            assert f"in use by {process.pid}" in run("list", capsys=capsys)[1]
            code, text, _ = run("remove", str(environment.path), "--dry-run", "--json", capsys=capsys)
            assert [each["pid"] for each in json.loads(text)["processes"]] == [process.pid]
            assert run("remove", str(environment.path), "--yes", "--force", capsys=capsys)[0] == 0
        finally:
            process.kill()
    assert not environment.store.exists()


def test_a_process_of_another_environment_is_none(environment):
    with subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=-1, stdout=-1) as process:
        process.stdout.readline()
        assert processes_in(environment) == ()
        process.stdin.close()


def test_remove_takes_link_and_store_and_nothing_else(environment, capsys):
    beside = environment.path.parent / "mine.txt"
    beside.write_text("mine")
    (environment.store / "0001" / "lib").mkdir()
    (environment.store / "logs").mkdir()
    code, text, _ = run("remove", str(environment.path), "--yes", "--json", capsys=capsys)
    assert code == 0
    assert json.loads(text) == {"schema": 1, "path": str(environment.path), "processes": [], "removed": True}
    assert list(environment.path.parent.iterdir()) == [beside]
    assert paths() == []


def test_remove_asks(environment, capsys, monkeypatch):
    code, _, err = run("remove", str(environment.path), capsys=capsys)
    assert code == 2
    assert "verl-env remove" in err
    assert "--yes" in err
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    for answer, gone in (("n", False), ("", False), ("y", True)):
        monkeypatch.setattr(sys.stdin, "readline", lambda answer=answer: f"{answer}\n", raising=False)
        assert run("remove", str(environment.path), capsys=capsys)[0] == (0 if gone else 1)
        assert environment.store.exists() is not gone


def foreign_venv(path):
    path.mkdir()
    (path / "pyvenv.cfg").write_text("home = /usr/bin\n")
    return path


def link_elsewhere(path):
    path.symlink_to("/usr")
    return path


def directory_with_a_store(path):
    """As ``/etc/sysctl.d`` lies beside nothing."""
    store = path.with_name(f"{path.name}.d")
    store.mkdir()
    (store / "README.txt").write_text("mine\n")
    return path


def store_with_something_else(path):
    target = made(path)
    (target.store / "notes.md").write_text("mine")
    return path


def link_to_another_store(path):
    made(path.with_name("other"))
    path.symlink_to("other.d/0001")
    return path


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path,
        foreign_venv,
        link_elsewhere,
        directory_with_a_store,
        store_with_something_else,
        link_to_another_store,
        lambda path: (path.write_text("") and path) or path,
        lambda path: Target(path).make_store() or foreign_venv(path),
    ],
)
def test_what_is_not_ours_is_refused_and_not_touched(tmp_path, capsys, make):
    path = make(tmp_path / "env")
    before = sorted(tmp_path.rglob("*"))
    code, _, err = run("remove", str(path), "--yes", "--force", capsys=capsys)
    assert code == 2
    assert "error[remove-foreign]" in err
    assert sorted(tmp_path.rglob("*")) == before


def test_what_an_installation_left_is_removed(environment, capsys):
    environment.path.unlink()
    assert run("remove", f"{environment.path}/", "--yes", capsys=capsys)[0] == 0
    assert not environment.store.exists()


def test_a_killed_removal_goes_on(environment, capsys):
    big = environment.store / "0001" / "lib"
    for number in range(40):
        (big / str(number)).mkdir(parents=True)
        for file in range(50):
            (big / str(number) / str(file)).touch()
    code = f"from verl_env.cli.main import main; main(['remove', {str(environment.path)!r}, '--yes'])"
    words = [sys.executable, "-c", code]
    for _ in range(4):
        process = subprocess.Popen(words, cwd=Path(__file__).parents[3])
        until = time.monotonic() + 30
        while environment.path.is_symlink() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.0005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if environment.store.exists():
            assert environment.is_ours()
    run("remove", str(environment.path), "--yes", capsys=capsys)
    assert not environment.store.exists()
    assert not environment.path.is_symlink()


def test_remove_waits_for_a_run_that_changes_it(environment, capsys, monkeypatch):
    from verl_env.environment import change
    from verl_env.environment.change import held

    monkeypatch.setattr(change, "LOCK_SECONDS", 0.1)
    with held(environment, waiting=print):
        code, _, err = run("remove", str(environment.path), "--yes", capsys=capsys)
    assert code == 1
    assert "environment-locked" in err
    assert environment.path.exists()
