"""Fat binaries as the compiler lays them out, made by hand."""

from __future__ import annotations

import os
import struct
import tempfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.binaries.cubin import Architectures, _walk, read_architectures
from verl_env.binaries.elf import ElfError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Compile


def entry(kind: int, architecture: int, length: int = 32) -> bytes:
    head = struct.pack("<HHIQ12xI", kind, 0x101, 64, length, architecture)
    return head.ljust(64, b"\0") + b"\xee" * length


def record(*entries: bytes) -> bytes:
    payload = b"".join(entries)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(payload)) + payload


def blob(path: Path, content: bytes, compile_so: Compile) -> Path:
    values = ",".join(map(str, content))
    source = f'__attribute__((section(".nv_fatbin"), used, aligned(8))) static const unsigned char b[] = {{{values}}};'
    return compile_so(path, source)


def test_code_and_ptx(tmp_path: Path, compile_so: Compile) -> None:
    content = record(entry(2, 80), entry(2, 90)) + b"\0" * 8 + record(entry(2, 80), entry(1, 120, 40))

    found = read_architectures(blob(tmp_path / "x.so", content, compile_so))

    assert found == Architectures(frozenset({"8.0", "9.0"}), frozenset({"12.0"}))


def test_no_fat_binary(tmp_path: Path, compile_so: Compile) -> None:
    assert read_architectures(compile_so(tmp_path / "x.so", "int x;")) is None


def test_a_section_of_another_kind(tmp_path: Path, compile_so: Compile) -> None:
    assert read_architectures(blob(tmp_path / "x.so", b"\x01" * 200, compile_so)) is None


def test_no_object(tmp_path: Path) -> None:
    (tmp_path / "x.so").write_text("text")

    with pytest.raises(ElfError):
        read_architectures(tmp_path / "x.so")


@given(st.binary(max_size=120))
def test_no_record_crashes(content: bytes) -> None:
    found: dict[int, set[str]] = {1: set(), 2: set()}
    with tempfile.TemporaryFile() as file:
        data = struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(content)) + content
        file.write(data)
        file.flush()
        _walk(lambda place, size: os.pread(file.fileno(), size, place), 0, len(data), found, 10)

    assert all(isinstance(value, str) for values in found.values() for value in values)
