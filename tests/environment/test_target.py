import os
import socket
import tempfile
from pathlib import Path

import pytest

from verl_env.environment import errors
from verl_env.environment.target import Target, open_target


def made(path, number="0001"):
    """An environment of ours at a path, with an empty generation."""
    target = Target(path)
    target.make_store()
    (target.store / number).mkdir(exist_ok=True)
    target.point_to(target.store / number)
    return target


def as_ordinary_user(function):
    """Runs a function in a child without the privileges of root; returns what it printed as an exit code."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if os.getuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            code = function()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def nothing(path):
    return path


def empty_directory(path):
    path.mkdir()
    return path


def ours(path):
    return made(path).path


def ours_without_its_generation(path):
    target = made(path)
    (target.store / "0001").rmdir()
    return path


@pytest.mark.parametrize("prepare", [nothing, empty_directory, ours, ours_without_its_generation])
def test_what_may_be_changed(target_path, prepare):
    prepare(target_path)
    assert open_target(target_path).path == target_path


def file(path):
    path.write_text("notes")


def venv(path):
    path.mkdir()
    (path / "pyvenv.cfg").write_text("home = /usr/bin")


def directory_with_files(path):
    path.mkdir()
    (path / "thesis.tex").write_text("")


def dangling_link(path):
    path.symlink_to("/nowhere/at/all")


def link_to_directory(path):
    (path.parent / "elsewhere").mkdir()
    path.symlink_to("elsewhere")


def link_into_a_foreign_store(path):
    made(path.parent / "other")
    path.symlink_to("other.d/0001")


def foreign_store(path):
    path.with_name(f"{path.name}.d").mkdir()
    (path.with_name(f"{path.name}.d") / "notes").write_text("")


def store_is_a_file(path):
    path.with_name(f"{path.name}.d").write_text("")


def device(path):
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.close()


@pytest.mark.parametrize(
    ("prepare", "error", "words"),
    [
        (file, errors.TargetNotDirectoryError, "is a file"),
        (device, errors.TargetNotDirectoryError, "is a file"),
        (venv, errors.EnvironmentForeignError, "a virtual environment"),
        (directory_with_files, errors.EnvironmentForeignError, "a directory with files"),
        (dangling_link, errors.TargetDanglingError, "/nowhere/at/all"),
        (link_to_directory, errors.EnvironmentForeignError, "a link to elsewhere"),
        (link_into_a_foreign_store, errors.EnvironmentForeignError, "a link to other.d/0001"),
        (foreign_store, errors.EnvironmentForeignError, ".venv.d is a directory with files"),
        (store_is_a_file, errors.EnvironmentForeignError, ".venv.d is a file"),
    ],
)
def test_what_is_refused_and_stays_as_it_is(target_path, prepare, error, words):
    prepare(target_path)
    before = {path: path.lstat().st_mtime_ns for path in target_path.parent.rglob("*")}
    with pytest.raises(error) as caught:
        open_target(target_path)
    assert words in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 2
    assert {path: path.lstat().st_mtime_ns for path in target_path.parent.rglob("*")} == before


def test_a_missing_parent_is_named(tmp_path):
    with pytest.raises(errors.TargetParentMissingError) as caught:
        open_target(tmp_path / "no" / "such" / ".venv")
    assert caught.value.hint == f"mkdir -p {tmp_path}/no/such"


def test_the_current_directory_is_no_target(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(errors.EnvironmentForeignError, match="the current directory"):
        open_target(tmp_path / "here")


def test_a_relative_path_is_made_absolute_without_following_its_link(target_path, monkeypatch):
    made(target_path)
    monkeypatch.chdir(target_path.parent)
    assert open_target(target_path.relative_to(target_path.parent)).path == target_path


@pytest.fixture
def public_directory():
    """A directory that an ordinary user can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("prepare", [nothing, empty_directory])
def test_a_parent_that_may_not_be_written(public_directory, prepare):
    prepare(public_directory / ".venv")
    public_directory.chmod(0o555)

    def attempt():
        try:
            open_target(public_directory / ".venv")
        except errors.TargetPermissionError as error:
            return 42 if str(public_directory) in error.message and error.exit_code == 1 else 2
        return 0

    assert as_ordinary_user(attempt) == 42


def test_generations_count_up_and_are_never_used_twice(target_path):
    target = made(target_path, "0007")
    assert target.next_generation().name == "0008"
    (target.store / "10000").mkdir()
    assert target.next_generation().name == "10001"


def test_the_first_generation(target_path):
    assert Target(target_path).next_generation() == target_path.parent / ".venv.d" / "0001"


def test_leftovers_are_everything_but_the_generation_in_force(target_path):
    target = made(target_path, "0002")
    for name in ["0001", "0003", "0003.stage", "logs"]:
        (target.store / name).mkdir()
    (target.store / "link").symlink_to("0003")
    assert [path.name for path in target.leftovers()] == ["0001", "0003", "0003.stage", "link"]


def test_without_a_link_every_generation_is_a_leftover(target_path):
    target = made(target_path)
    target_path.unlink()
    assert [path.name for path in target.leftovers()] == ["0001"]


@pytest.mark.parametrize("prepare", [nothing, empty_directory, ours])
def test_pointing_replaces_what_may_be_replaced(target_path, prepare):
    prepare(target_path)
    target = Target(target_path)
    target.make_store()
    (target.store / "0042").mkdir()
    target.point_to(target.store / "0042")
    assert os.readlink(target_path) == ".venv.d/0042"  # noqa: PTH115
    assert target.current() == target.store / "0042"
    assert not (target.store / "link").is_symlink()


def test_the_store_says_what_it_is_and_hides_from_git(target_path):
    target = made(target_path)
    assert ".venv" in (target.store / "README.txt").read_text()
    assert (target.store / ".gitignore").read_text() == "*\n"


def test_the_store_cannot_be_made_where_there_is_a_file(target_path):
    target = Target(target_path)
    target.store.write_text("")
    with pytest.raises(errors.TargetPermissionError):
        target.make_store()
