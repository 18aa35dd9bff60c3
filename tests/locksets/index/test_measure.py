from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import pytest

from verl_env.locksets.measure import DeviceCode, SymbolNeed, elf_files, find_cuobjdump, measure, newest
from verl_env.versions import at_least

STRINGS, PROGRAM, VERSIONS = 3, 1, 0x6FFFFFFE


def elf(versions: list[str], *, device: bool = False) -> bytes:
    """A 64-bit ELF file that asks for symbol versions of one library, with or without device code."""
    strings = b"\0libc.so.6\0"
    offsets = []
    for version in versions:
        offsets.append(len(strings))
        strings += version.encode() + b"\0"
    needs = struct.pack("<HHIII", 1, len(versions), 1, 16, 0) if versions else b""
    for number, offset in enumerate(offsets):
        needs += struct.pack("<IHHII", 0, 0, 2 + number, offset, 16 if number + 1 < len(offsets) else 0)
    sections = [(b"", 0, 0, b"", 0), (b".dynstr", STRINGS, 0, strings, 0)]
    if versions:
        sections.append((b".gnu.version_r", VERSIONS, 1, needs, 1))
    if device:
        sections.append((b".nv_fatbin", PROGRAM, 0, b"code", 0))
    names = b"".join(name + b"\0" for name, *_ in sections) + b".shstrtab\0"
    sections.append((b".shstrtab", STRINGS, 0, names, 0))
    body, headers, position = b"", b"", 64
    for name, kind, link, content, info in sections:
        start = names.index(name + b"\0") if name else 0
        headers += struct.pack("<IIQQQQIIQQ", start, kind, 0, 0, position, len(content), link, info, 1, 0)
        body += content
        position += len(content)
    head = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, position, 0, 64, 0, 0, 64, len(sections), len(sections) - 1)
    return head + body + headers


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """An environment without files, and no CUDA on this machine."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    root = tmp_path / "env"
    (root / "lib" / "python3.10" / "site-packages").mkdir(parents=True)
    return root


def put(environment: Path, name: str, content: bytes) -> str:
    file = environment / "lib" / "python3.10" / "site-packages" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return str(file.relative_to(environment))


CUOBJDUMP = """#!/bin/sh
case "$1" in
--list-elf) for part in 1.sm_80 2.sm_90a 3.sm_120; do echo "ELF file 1: x.$part.cubin"; done;;
--list-ptx) echo "PTX file 1: x.4.sm_90.ptx";;
esac
"""


def put_cuobjdump(environment: Path) -> Path:
    name = put(environment, "triton/backends/nvidia/bin/cuobjdump", CUOBJDUMP.encode())
    (environment / name).chmod(0o755)
    return environment / name


def test_the_newest_symbols_of_all_files_count(environment):
    put(environment, "a/one.so", elf(["GLIBC_2.2.5", "GLIBC_2.17"]))
    high = put(environment, "b/libdeep.so.2.1", elf(["GLIBC_2.28", "GLIBC_2.3", "GLIBC_PRIVATE"]))
    other = put(environment, "c/other.so", elf(["GLIBCXX_3.4.22", "GLIBCXX_3.4.9", "CXXABI_1.3"]))
    put(environment, "d/none.so", elf([]))
    put(environment, "d/text.so", b"no ELF")
    found = measure(environment)
    assert found.files == 4
    assert found.symbols == (
        SymbolNeed("CXXABI", "1.3", other),
        SymbolNeed("GLIBC", "2.28", high),
        SymbolNeed("GLIBCXX", "3.4.22", other),
    )
    assert found.device_code == ()


def test_device_code_is_listed_by_file(environment):
    put(environment, "a/host.so", elf(["GLIBC_2.17"]))
    name = put(environment, "a/device.so", elf(["GLIBC_2.17"], device=True))
    put_cuobjdump(environment)
    code = DeviceCode(name, ("8.0", "12.0"), ("9.0a",), ("9.0",))
    assert measure(environment).device_code == (code,)
    assert measure(environment).to_json()["device_code"] == [
        {"file": name, "targets": ["8.0", "12.0"], "specific": ["9.0a"], "ptx": ["9.0"]}
    ]


def test_without_cuobjdump_no_device_code_is_known(environment):
    put(environment, "a/device.so", elf(["GLIBC_2.17"], device=True))
    assert find_cuobjdump(environment) is None
    assert measure(environment).device_code == ()


def test_the_cuobjdump_of_the_machine_is_preferred(environment, monkeypatch, tmp_path):
    assert put_cuobjdump(environment) == Path(str(find_cuobjdump(environment)))
    own = tmp_path / "bin" / "cuobjdump"
    own.parent.mkdir()
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(own.parent))
    assert find_cuobjdump(environment) == str(own)


def test_links_are_not_counted_twice(environment):
    name = put(environment, "a/one.so", elf(["GLIBC_2.17"]))
    (environment / "lib64").symlink_to("lib")
    (environment / "link.so").symlink_to(name)
    assert [str(file.relative_to(environment)) for file in elf_files(environment)] == [name]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads ELF")
def test_a_real_program_asks_for_no_more_than_this_machine_has(environment):
    if "CS_GNU_LIBC_VERSION" not in os.confstr_names:
        pytest.skip("this C library is not glibc")
    put(environment, "python", Path(sys.executable).resolve().read_bytes())
    found = {need.library: need.version for need in measure(environment).symbols}
    assert at_least(os.confstr("CS_GNU_LIBC_VERSION").split()[1], found["GLIBC"])


@pytest.mark.parametrize(
    ("versions", "found"),
    [
        (["GLIBC_2.9", "GLIBC_2.10"], {"GLIBC": "2.10"}),
        (["GLIBC_2.2.5"], {"GLIBC": "2.2.5"}),
        (["GLIBC_PRIVATE", "OPENSSL_3.0.0", "GLIBC_ABI_DT_RELR", "Base"], {}),
        ([], {}),
    ],
)
def test_which_symbol_versions_count(versions, found):
    assert newest(versions) == found


@pytest.mark.parametrize("content", [b"\x7fELF", b"\x7fELF" + bytes(60), elf(["GLIBC_2.17"])[:90]])
def test_damaged_files_are_reported(environment, content):
    good = put(environment, "a/good.so", elf(["GLIBC_2.17"]))
    bad = put(environment, "a/bad.so", content)
    found = measure(environment)
    assert found.unreadable == (bad,)
    assert found.symbols == (SymbolNeed("GLIBC", "2.17", good),)
    assert found.to_json()["unreadable"] == [bad]
