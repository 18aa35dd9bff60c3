"""The search order of the loader, against rules and against ldd."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from verl_env.binaries.elf import EM_X86_64, read_elf
from verl_env.binaries.loader import Closure, Loader, expand, read_cache, split_library_path

if TYPE_CHECKING:
    from tests.conftest import Compile

LEAF = "int leaf(void) { return 1; }"
USER = "extern int leaf(void); int user(void) { return leaf(); }"


class Tree:
    """Two copies of one library, and an object that needs it."""

    def __init__(self, base: Path, compile_so: Compile, *flags: str) -> None:
        self.first = compile_so(base / "first" / "libleaf.so", LEAF, "-Wl,-soname,libleaf.so")
        self.second = compile_so(base / "second" / "libleaf.so", LEAF, "-Wl,-soname,libleaf.so")
        self.user = compile_so(base / "app" / "libuser.so", USER, f"-L{base}/first", "-lleaf", *flags)


def loader(*library_path: Path, cache: dict[str, str] | None = None) -> Loader:
    machine = read_elf(Path("/proc/self/exe").resolve()).machine
    return Loader(library_path=[str(path) for path in library_path], cache=cache, machine=machine)


def test_runpath_comes_after_the_library_path(tmp_path: Path, compile_so: Compile) -> None:
    tree = Tree(tmp_path, compile_so, "-Wl,-rpath,$ORIGIN/../first", "-Wl,--enable-new-dtags")

    assert loader().search("libleaf.so", read_elf(tree.user)) == (str(tree.first), "RUNPATH")
    found = loader(tmp_path / "second").search("libleaf.so", read_elf(tree.user))
    assert found == (str(tree.second), "LD_LIBRARY_PATH")


def test_rpath_comes_before_the_library_path(tmp_path: Path, compile_so: Compile) -> None:
    tree = Tree(tmp_path, compile_so, "-Wl,-rpath,$ORIGIN/../first", "-Wl,--disable-new-dtags")

    found = loader(tmp_path / "second").search("libleaf.so", read_elf(tree.user))

    assert found == (str(tree.first), "RPATH")


def test_cache_comes_after_both(tmp_path: Path, compile_so: Compile) -> None:
    tree = Tree(tmp_path, compile_so)
    known = loader(cache={"libleaf.so": str(tree.second)})

    assert known.search("libleaf.so", read_elf(tree.user)) == (str(tree.second), "ld.so.cache")
    assert loader().search("libleaf.so", read_elf(tree.user)) is None


def test_a_file_of_another_machine_is_passed_over(tmp_path: Path, compile_so: Compile) -> None:
    tree = Tree(tmp_path, compile_so)
    (tmp_path / "wrong").mkdir()
    foreign = bytearray(tree.first.read_bytes())
    foreign[18:20] = struct.pack("<H", 243)
    (tmp_path / "wrong" / "libleaf.so").write_bytes(bytes(foreign))

    found = loader(tmp_path / "wrong", tmp_path / "second").search("libleaf.so", read_elf(tree.user))

    assert found == (str(tree.second), "LD_LIBRARY_PATH")


def test_inherited_rpath(tmp_path: Path, compile_so: Compile) -> None:
    """A library without paths of its own is found through the RPATH of what loaded its parent."""
    tree = Tree(tmp_path, compile_so)
    top = compile_so(
        tmp_path / "top" / "libtop.so",
        "extern int user(void); int top(void) { return user(); }",
        f"-L{tmp_path}/app",
        "-luser",
        f"-Wl,-rpath,{tmp_path}/app:{tmp_path}/first",
        "-Wl,--disable-new-dtags",
        "-Wl,--allow-shlib-undefined",
    )

    closure = loader().load(str(top), Closure())

    assert closure.loaded["libleaf.so"].elf.path == str(tree.first)
    assert not [name for name, _ in closure.missing if "leaf" in name]


def test_the_first_library_of_a_soname_wins(tmp_path: Path, compile_so: Compile) -> None:
    tree = Tree(tmp_path, compile_so, "-Wl,-rpath,$ORIGIN/../first")
    closure = loader().load(str(tree.second), Closure())

    loader().load(str(tree.user), closure)

    assert closure.loaded["libleaf.so"].elf.path == str(tree.second)


def test_what_is_missing_is_said_with_who_needs_it(tmp_path: Path, compile_so: Compile) -> None:
    tree = Tree(tmp_path, compile_so)

    assert ("libleaf.so", str(tree.user)) in loader().load(str(tree.user), Closure()).missing


def test_same_answer_as_ldd(tmp_path: Path, compile_so: Compile) -> None:
    if shutil.which("ldd") is None:
        pytest.skip("no ldd")
    tree = Tree(tmp_path, compile_so, "-Wl,-rpath,$ORIGIN/../first", "-lm")
    env = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path / "second")}
    said = subprocess.run(["ldd", str(tree.user)], env=env, capture_output=True, text=True, check=True).stdout
    wanted = {name: os.path.realpath(path) for name, path in re.findall(r"(\S+) => (/\S+)", said)}

    known = Loader(
        library_path=[str(tmp_path / "second")],
        cache=read_cache(machine=read_elf(tree.user).machine),
        machine=read_elf(tree.user).machine,
    )
    closure = known.load(str(tree.user), Closure())

    found = {name: os.path.realpath(loaded.elf.path) for name, loaded in closure.loaded.items() if name in wanted}
    assert found == wanted


def test_cache_of_this_host_names_files_that_are_there() -> None:
    cache = read_cache(machine=read_elf(Path("/proc/self/exe").resolve()).machine)

    assert all(path.startswith("/") for path in cache.values())
    if "libc.so.6" in cache:
        assert Path(cache["libc.so.6"]).exists()


@pytest.mark.parametrize("content", [b"", b"ld.so-1.7.0\0", b"glibc-ld.so.cache1.1" + b"\xff" * 10])
def test_a_cache_of_another_form_is_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cache").write_bytes(content)

    assert read_cache(tmp_path / "cache", EM_X86_64) == {}


def test_missing_cache(tmp_path: Path) -> None:
    assert read_cache(tmp_path / "none") == {}


def test_library_path_and_origin(tmp_path: Path) -> None:
    assert split_library_path("/a::/b;/c:") == ("/a", "/b", "/c")
    assert split_library_path(None) == ()
    assert expand(["$ORIGIN/../x", "${ORIGIN}", "/y"], str(tmp_path / "d" / "l.so")) == [
        str(tmp_path / "x"),
        str(tmp_path / "d"),
        "/y",
    ]
