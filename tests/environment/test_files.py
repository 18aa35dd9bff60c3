import ctypes
import errno
import os
import stat
from pathlib import Path

import pytest

from verl_env.environment.change import change
from verl_env.environment.files import (
    hard_links_work,
    link_or_copy,
    remove_trees,
    replace_bytes,
    rewrite_bytes,
    sync_directory,
    sync_file_system,
)
from verl_env.environment.target import Target


def refuse_links(monkeypatch, number):
    def link(source, destination, **_):
        raise OSError(number, os.strerror(number), str(destination))

    monkeypatch.setattr(os, "link", link)


@pytest.mark.parametrize("replace", [replace_bytes, rewrite_bytes])
def test_a_file_is_replaced_with_its_mode_and_a_new_inode(tmp_path, replace):
    file = tmp_path / "tool"
    file.write_text("old")
    file.chmod(0o755)
    (tmp_path / "shared").hardlink_to(file)
    replace(file, b"new")
    assert file.read_bytes() == b"new"
    assert (tmp_path / "shared").read_bytes() == b"old"
    assert stat.S_IMODE(file.stat().st_mode) == 0o755
    assert len([*tmp_path.iterdir()]) == 2


def test_a_new_file_is_made(tmp_path):
    replace_bytes(tmp_path / "new", b"text")
    assert (tmp_path / "new").read_bytes() == b"text"


def test_linking_shares_the_inode(tmp_path):
    (tmp_path / "a").write_text("x")
    link_or_copy(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "a").samefile(tmp_path / "b")


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP])
def test_where_links_do_not_work_files_are_copied_with_their_times(tmp_path, monkeypatch, number):
    refuse_links(monkeypatch, number)
    (tmp_path / "a").write_text("x")
    os.utime(tmp_path / "a", (1, 1_000_000))
    link_or_copy(str(tmp_path / "a"), str(tmp_path / "b"))
    assert not (tmp_path / "a").samefile(tmp_path / "b")
    assert (tmp_path / "b").stat().st_mtime == 1_000_000


def test_other_errors_of_links_are_not_hidden(tmp_path, monkeypatch):
    refuse_links(monkeypatch, errno.ENOSPC)
    (tmp_path / "a").write_text("x")
    with pytest.raises(OSError) as caught:
        link_or_copy(str(tmp_path / "a"), str(tmp_path / "b"))
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("works", [True, False])
def test_what_is_there_is_never_written_to(tmp_path, monkeypatch, works):
    if not works:
        refuse_links(monkeypatch, errno.EXDEV)
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").write_text("y")
    with pytest.raises(FileExistsError):
        link_or_copy(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "b").read_text() == "y"


def test_links_are_linked_not_followed(tmp_path):
    (tmp_path / "a").symlink_to("nowhere")
    link_or_copy(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "b").readlink() == Path("nowhere")


def test_trees_files_and_links_are_removed(tmp_path):
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to("kept")
    os.mkfifo(tmp_path / "fifo")
    assert remove_trees([tmp_path / name for name in ["tree", "file", "link", "fifo", "missing"]]) == ()
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_what_stays_is_told(tmp_path, monkeypatch):
    (tmp_path / "busy").mkdir()
    monkeypatch.setattr("shutil.rmtree", lambda path, **_: None)
    assert remove_trees([tmp_path / "busy"]) == (tmp_path / "busy",)


def test_hard_links_are_tried_and_nothing_is_left(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert hard_links_work(tmp_path / "a", tmp_path / "b")
    refuse_links(monkeypatch, errno.EXDEV)
    assert not hard_links_work(tmp_path / "a", tmp_path / "b")
    assert not hard_links_work(tmp_path / "missing", tmp_path / "b")
    assert [*(tmp_path / "a").iterdir(), *(tmp_path / "b").iterdir()] == []


def test_a_disk_that_could_not_write_is_an_error(tmp_path, monkeypatch):
    class Library:
        def __init__(self, *_, **__):
            self.syncfs = lambda _: -1

    monkeypatch.setattr(ctypes, "CDLL", Library)
    monkeypatch.setattr(ctypes, "get_errno", lambda: errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        sync_file_system(tmp_path)
    monkeypatch.setattr(ctypes, "get_errno", lambda: errno.ENOSYS)
    sync_file_system(tmp_path)


def test_what_is_put_in_force_is_on_the_disk_first(tmp_path, monkeypatch):
    """In this order: the new state is written, the link is renamed, the new name is written."""
    done = []
    monkeypatch.setattr("verl_env.environment.change.sync_file_system", lambda _: done.append("written"))
    monkeypatch.setattr("verl_env.environment.change.sync_directory", lambda _: done.append("named"))
    monkeypatch.setattr(Target, "point_to", lambda *_: done.append("renamed"))
    with change(Target(tmp_path / ".venv"), "a test", waiting=print) as new:
        (new.path / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
        (new.path / "bin").mkdir()
        new.commit()
    assert done == ["written", "renamed", "named"]


def test_names_are_written_where_that_can_be_done(tmp_path):
    sync_directory(tmp_path)
    sync_file_system(tmp_path)
