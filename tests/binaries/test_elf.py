"""The reader against what pyelftools and the compiler say of the same files."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection
from elftools.elf.sections import SymbolTableSection
from hypothesis import given
from hypothesis import strategies as st

from verl_env.binaries.elf import MACHINES, ElfError, ElfFile, gnu_hash, read_elf

if TYPE_CHECKING:
    from tests.conftest import Compile

SOURCE = """
#include <stdio.h>
#include <math.h>
extern int far_away(int);
extern int perhaps(int) __attribute__((weak));
int here(int x) { return far_away(x) + (perhaps ? perhaps(x) : 0); }
double there(double x) { printf("%f", x); return pow(x, 2.5); }
int table = 5;
"""


def expected(path: Path) -> dict[str, object]:
    with path.open("rb") as file:
        elf = ELFFile(file)
        dynamic = next(s for s in elf.iter_sections() if isinstance(s, DynamicSection))
        symbols = elf.get_section_by_name(".dynsym")
        needs = next((s for s in elf.iter_sections() if isinstance(s, GNUVerNeedSection)), None)
        defs = next((s for s in elf.iter_sections() if isinstance(s, GNUVerDefSection)), None)
        assert isinstance(symbols, SymbolTableSection)
        return {
            "needed": tuple(tag.needed for tag in dynamic.iter_tags("DT_NEEDED")),
            "soname": next((tag.soname for tag in dynamic.iter_tags("DT_SONAME")), None),
            "runpath": tuple(part for tag in dynamic.iter_tags("DT_RUNPATH") for part in tag.runpath.split(":")),
            "rpath": tuple(part for tag in dynamic.iter_tags("DT_RPATH") for part in tag.rpath.split(":")),
            "undefined": {
                (s.name, s["st_info"]["bind"] == "STB_WEAK")
                for s in symbols.iter_symbols()
                if s.name and s["st_shndx"] == "SHN_UNDEF"
            },
            "exports": {s.name for s in symbols.iter_symbols() if s.name and s["st_shndx"] != "SHN_UNDEF"},
            "versions": {
                need.name: {aux.name for aux in auxes} for need, auxes in (needs.iter_versions() if needs else ())
            },
            "defines": [next(iter(aux)).name for _, aux in (defs.iter_versions() if defs else ())],
        }


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("-Wl,-soname,libhere.so.3",),
        ("-Wl,-rpath,$ORIGIN/../x:/opt/y", "-Wl,--enable-new-dtags"),
        ("-Wl,-rpath,/opt/z", "-Wl,--disable-new-dtags"),
        ("-Wl,--hash-style=sysv",),
        ("-Wl,--hash-style=both", "-lm"),
        ("-Wl,--strip-all",),
    ],
)
def test_reads_what_pyelftools_reads(tmp_path: Path, compile_so: Compile, flags: tuple[str, ...]) -> None:
    path = compile_so(tmp_path / "libhere.so", SOURCE, *flags)
    wanted = expected(path)

    info = read_elf(path)

    assert info.needed == wanted["needed"]
    assert info.soname == wanted["soname"]
    assert (info.rpath, info.runpath) == (wanted["rpath"], wanted["runpath"])
    assert {file: set(names) for file, names in info.versions} == wanted["versions"]
    assert list(info.defines) == wanted["defines"]
    assert MACHINES[info.machine] in {"x86_64", "aarch64"}


@pytest.mark.parametrize("style", ["gnu", "sysv", "both"])
def test_symbols_by_either_hash_table(tmp_path: Path, compile_so: Compile, style: str) -> None:
    path = compile_so(tmp_path / "libhere.so", SOURCE, f"-Wl,--hash-style={style}")
    wanted = expected(path)

    with ElfFile(path) as elf:
        names = {name for name, _ in wanted["undefined"]}  # type: ignore[attr-defined]
        found = {(name.decode(), weak) for name, weak in elf.undefined()}
        assert {item for item in found if item[0] in names} == wanted["undefined"]
        assert [name for name, _ in elf.undefined(re.compile(rb"far_a\w+\0"))] == [b"far_away"]
        assert all(elf.defines(name.encode()) for name in wanted["exports"])  # type: ignore[attr-defined]
        assert not elf.defines(b"far_away")
        assert not elf.defines(b"no_such_symbol")


def test_exports_of_a_gnu_hash_table(tmp_path: Path, compile_so: Compile) -> None:
    many = "\n".join(f"int symbol_{i}(void) {{ return {i}; }}" for i in range(500))
    path = compile_so(tmp_path / "libmany.so", many, "-Wl,--hash-style=gnu")

    with ElfFile(path) as elf:
        assert all(elf.defines(name.encode()) for name in expected(path)["exports"])  # type: ignore[attr-defined]
        assert all(elf.defines(f"symbol_{i}".encode()) for i in range(500))
        assert not any(elf.defines(f"symbol_{i}".encode()) for i in range(500, 900))


def test_version_definitions(tmp_path: Path, compile_so: Compile) -> None:
    script = tmp_path / "map"
    script.write_text("OLD_1 { global: here; local: *; }; NEW_2 { global: there; } OLD_1;")
    path = compile_so(tmp_path / "libv.so", SOURCE, f"-Wl,--version-script={script}", "-Wl,-soname,libv.so.1")

    assert read_elf(path).defines == ("libv.so.1", "OLD_1", "NEW_2")


def test_section(tmp_path: Path, compile_so: Compile) -> None:
    source = '__attribute__((section(".nv_fatbin"), used)) static const char blob[48] = "x";'
    path = compile_so(tmp_path / "libs.so", source)

    with ElfFile(path) as elf:
        found = elf.section(".nv_fatbin")
        assert found is not None
        assert found[1] == 48
        assert elf.section(".no_such_section") is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"#!/bin/sh\n", "no ELF"),
        (b"\x7fELF\x01\x01" + b"\0" * 60, "64-bit"),
        (b"\x7fELF\x02\x02" + b"\0" * 60, "64-bit"),
        (b"\x7fELF\x02\x01\x01", "cut off"),
    ],
)
def test_what_is_no_object(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.so"
    path.write_bytes(content)

    with pytest.raises(ElfError, match=reason):
        read_elf(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_elf(tmp_path / "none.so")


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6])
def test_truncated_object(tmp_path: Path, compile_so: Compile, share: float) -> None:
    whole = compile_so(tmp_path / "libhere.so", SOURCE).read_bytes()
    path = tmp_path / "cut.so"
    path.write_bytes(whole[: int(len(whole) * share)])

    with pytest.raises(ElfError):
        read_elf(path)


@given(st.binary(max_size=400))
def test_no_bytes_crash_the_reader(content: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"\x7fELF\x02\x01" + content)
        file.flush()
        with contextlib.suppress(ElfError):
            assert read_elf(file.name).path == file.name


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=60))
def test_gnu_hash_is_bernsteins(name: str) -> None:
    value = 5381
    for character in name:
        value = (value * 33 + ord(character)) % 2**32

    assert gnu_hash(name.encode()) == value


def test_the_interpreter_of_this_process() -> None:
    info = read_elf(Path(sys.executable).resolve())

    said = subprocess.run(["readelf", "-d", sys.executable], capture_output=True, text=True, check=False).stdout
    if said:
        assert all(f"[{name}]" in said for name in info.needed)
    assert any(name.startswith(("libc.so", "libpython", "libm.so")) for name in info.needed)
