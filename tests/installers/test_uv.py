from pathlib import Path

import pytest

from verl_env.installers import uv as module
from verl_env.installers.base import Batch, Cache, Source
from verl_env.installers.choice import choose_installer
from verl_env.installers.failures import InstallerMissingError, InstallerSilentError
from verl_env.installers.uv import Uv, find_uv

ENVIRONMENT = Path("/e/.venv.d/0001")
REQUIREMENTS = Path("/e/.venv.d/0001.stage/r.txt")


@pytest.fixture
def uv():
    return Uv("/opt/uv", "0.9.1")


def program(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def arguments(command):
    assert command.argv[0] == "/opt/uv"
    return " ".join(command.argv[1:])


def test_an_environment_is_made_from_the_interpreter_by_full_path(uv):
    command = uv.make_environment(ENVIRONMENT, "/usr/bin/python3.10", ".venv")
    assert arguments(command) == (
        "venv --no-project --python /usr/bin/python3.10 --prompt .venv --quiet /e/.venv.d/0001"
    )
    assert command.env["UV_PYTHON_DOWNLOADS"] == "never"


@pytest.mark.parametrize(
    ("batch", "words", "without"),
    [
        ({}, ["--no-deps --require-hashes --requirements /e/.venv.d/0001.stage/r.txt"], ["--no-index", "--offline"]),
        ({"hashes": False}, ["--no-deps"], ["--require-hashes"]),
        ({"isolated": False}, ["--no-build-isolation"], []),
        ({"build_constraints": Path("/c.txt")}, ["--build-constraints /c.txt"], []),
        ({"source": Source(("/wheels",))}, ["--find-links /wheels"], ["--no-index"]),
        ({"source": Source(("/wheels",), offline=True)}, ["--no-index --find-links /wheels"], ["--offline"]),
        ({"source": Source((), offline=True)}, ["--offline"], ["--no-index"]),
    ],
)
def test_exactly_the_lock_is_installed(uv, batch, words, without):
    text = arguments(uv.install(ENVIRONMENT, Batch(REQUIREMENTS, **batch)))
    assert text.startswith("pip install --python /e/.venv.d/0001/bin/python ")
    assert all(word in text for word in words)
    assert not any(word in text for word in without)


@pytest.mark.parametrize(
    ("works", "cache", "mode"), [(True, Cache, None), (False, Cache, "copy")], ids=["hard links work", "they do not"]
)
def test_files_are_copied_where_hard_links_do_not_work(tmp_path, monkeypatch, works, cache, mode):
    uv = Uv(program(tmp_path / "uv", f"echo {tmp_path}/cache"), "0.9.1")
    monkeypatch.setattr(module, "hard_links_work", lambda *_: works)
    assert uv.cache_for(tmp_path) == cache(tmp_path / "cache", linked=works)
    assert uv.make_environment(ENVIRONMENT, "python3", ".venv").env.get("UV_LINK_MODE") == mode


@pytest.mark.parametrize(("mode", "linked"), [("copy", False), ("hardlink", True), ("symlink", True), ("clone", True)])
def test_the_users_link_mode_is_respected(tmp_path, monkeypatch, mode, linked):
    monkeypatch.setenv("UV_LINK_MODE", mode)
    uv = Uv(program(tmp_path / "uv", f"echo {tmp_path}/cache"), "0.9.1")
    assert uv.cache_for(tmp_path) == Cache(tmp_path / "cache", linked=linked)
    assert uv.make_environment(ENVIRONMENT, "python3", ".venv").env["UV_LINK_MODE"] == mode


def test_without_a_cache_nothing_is_linked(tmp_path, monkeypatch):
    monkeypatch.setenv("UV_NO_CACHE", "1")
    assert Uv("/opt/uv", "0.9.1").cache_for(tmp_path) == Cache(None, linked=False)


def test_a_cache_that_is_not_told_is_an_error(tmp_path):
    with pytest.raises(InstallerSilentError) as caught:
        Uv(program(tmp_path / "uv", "exit 2"), "0.9.1").cache_for(tmp_path)
    assert "gives no answer to dir: exit code 2" in caught.value.message


@pytest.fixture
def uv_says(tmp_path, monkeypatch):
    """No uv but a program that prints what a test says, once a test has said it."""
    path = tmp_path / "uv"
    monkeypatch.setattr(module, "uv_program", lambda: str(path) if path.exists() else None)
    return lambda text: program(path, text)


@pytest.mark.parametrize("text", ["uv 0.9.0", "uv 0.13.8 (x86_64-unknown-linux-gnu)", "uv 1.0.0 (abc 2027-01-01)"])
def test_uv_is_asked_its_version(uv_says, text):
    path = uv_says(f"echo '{text}'")
    found = find_uv()
    assert (found.executable, found.version) == (path, text.split()[1])


def test_an_old_uv_is_refused_with_the_way_on(uv_says):
    uv_says("echo uv 0.4.30")
    with pytest.raises(InstallerMissingError) as caught:
        find_uv()
    assert "0.4.30 is too old" in caught.value.message
    assert "--installer pip" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo something else", "says 'something else'"),
        ("exit 1", "exit code 1"),
        ("echo broken >&2; exit 3", "exit code 3: broken"),
        ("kill -9 $$", "killed by signal 9"),
    ],
)
def test_a_uv_that_does_not_answer_is_told_and_no_other_installer_taken(uv_says, text, said):
    uv_says(text)
    with pytest.raises(InstallerSilentError) as caught:
        choose_installer(None)
    assert said in caught.value.message
    assert "--installer pip" in caught.value.hint
    assert choose_installer("pip").name == "pip"


def test_there_may_be_none(uv_says):
    assert find_uv() is None
