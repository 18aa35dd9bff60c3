"""A root is read without ever raising."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.machine.roots import Roots

if TYPE_CHECKING:
    from pathlib import Path


def test_absolute_paths_are_found_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "sys/module").mkdir(parents=True)
    (tmp_path / "sys/module/version").write_bytes(b"550.1\xff\n")
    roots = Roots(tmp_path)
    assert roots.path("/sys/module") == f"{tmp_path}/sys/module"
    assert roots.read("/sys/module/version") == "550.1\ufffd\n"
    assert roots.names("/sys") == ("module",)
    assert roots.exists("/sys/module/version")


def test_what_is_missing_is_absent(tmp_path: Path) -> None:
    roots = Roots(tmp_path)
    assert roots.read("/proc/version") is None
    assert roots.names("/proc") == ()
    assert not roots.exists("/proc")


def test_what_is_of_another_kind_is_absent(tmp_path: Path) -> None:
    (tmp_path / "proc").write_text("a file")
    roots = Roots(tmp_path)
    assert roots.names("/proc") == ()
    assert roots.read("/") is None
    assert roots.read("/proc/version") is None


def test_a_long_file_is_read_to_the_limit(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("x" * 100)
    assert Roots(tmp_path).read("/log", max_bytes=10) == "x" * 10


def test_a_path_with_a_null_byte_is_absent(tmp_path: Path) -> None:
    roots = Roots(tmp_path)
    assert roots.read("/a\0b") is None
    assert roots.names("/a\0b") == ()
    assert not roots.exists("/a\0b")


def test_the_root_of_this_host_is_the_default() -> None:
    assert Roots().path("/proc/self") == "/proc/self"
