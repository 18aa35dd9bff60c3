"""Programs are found by absolute path; what is no executable file is not found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from verl_env.machine.executables import find, find_all, is_directory, is_executable, real_path, search_path
from verl_env.machine.roots import Roots

from .trees import plant, program

if TYPE_CHECKING:
    from pathlib import Path


def test_the_search_path_has_each_absolute_directory_once() -> None:
    assert search_path({"PATH": "/a:.::bin:/b:/a"}) == ("/a", "/b")
    assert search_path({}) == ()


def test_the_first_executable_file_is_found(tmp_path: Path) -> None:
    roots = plant(tmp_path, {"/a/tool": "not executable", "/b/tool/": ""})
    program(tmp_path, "/c/tool")
    program(tmp_path, "/d/tool")
    assert find(roots, ["/a", "/b", "/missing", "/c/", "/d"], "tool") == "/c/tool"
    assert list(find_all(roots, ["/a", "/c", "/d"], "tool")) == ["/c/tool", "/d/tool"]
    assert find(roots, ["/a"], "tool") is None


def test_a_directory_is_no_program_and_a_program_no_directory(tmp_path: Path) -> None:
    program(tmp_path, "/bin/tool")
    roots = Roots(tmp_path)
    assert is_executable(roots, "/bin/tool")
    assert not is_executable(roots, "/bin")
    assert is_directory(roots, "/bin")
    assert not is_directory(roots, "/bin/tool")
    assert not is_directory(roots, "/gone")


def test_links_are_followed_within_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    program(root, "/usr/bin/tool-1")
    (root / "usr/bin/tool").symlink_to("tool-1")
    (root / "usr/bin/outside").symlink_to(tmp_path / "elsewhere")
    roots = Roots(root)
    assert real_path(roots, "/usr/bin/tool") == "/usr/bin/tool-1"
    assert real_path(roots, "/usr/bin/outside") is None


def test_the_real_root_keeps_paths_as_they_are() -> None:
    assert real_path(Roots(), "/") == "/"


@given(st.text())
def test_any_path_gives_an_answer(path: str) -> None:
    roots = Roots()
    assert is_executable(roots, f"/nowhere/{path}") is False
    assert is_directory(roots, f"/nowhere/{path}\0") is False
    assert real_path(roots, f"/nowhere/{path}\0") is None
