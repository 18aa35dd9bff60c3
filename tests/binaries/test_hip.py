"""HIP fat binaries as clang's bundler lays them out, made by hand."""

import struct
import zlib

import pytest

from tests.install.native_wheels import pack
from verl_env.binaries.wheel import read_wheel

MAGIC = b"__CLANG_OFFLOAD_BUNDLE__"
PAGE = 4096


def bundle(*targets, size=5000, host=True):
    """One bundle: an entry for the host, which has no code, and one for each target."""
    names = [b"host-x86_64-unknown-linux-gnu-"] if host else []
    names += [f"hipv4-amdgcn-amd-amdhsa--{target}".encode() for target in targets]
    table, at = b"", PAGE
    for name in names:
        length = 0 if name.startswith(b"host") else size
        table += struct.pack("<QQQ", at, length, len(name)) + name
        at += length
    content = (MAGIC + struct.pack("<Q", len(names)) + table).ljust(PAGE, b"\0") + b"\xee" * (at - PAGE)
    return content.ljust(-(-len(content) // PAGE) * PAGE, b"\0")


def compressed(content, *, method=0, version=2):
    packed = zlib.compress(content) if method == 0 else b"\x28\xb5\x2f\xfd" + content[:100]
    if version == 2:
        head = struct.pack("<4sHHIIQ", b"CCOB", version, method, 24 + len(packed), len(content), 0)
    else:
        head = struct.pack("<4sHHQQQ", b"CCOB", version, method, 32 + len(packed), len(content), 0)
    whole = head + packed
    return whole.ljust(-(-len(whole) // PAGE) * PAGE, b"\0")


def fat(content):
    """The source of an object whose section holds the content."""
    values = ",".join(map(str, content))
    return (
        f'__attribute__((section(".hip_fatbin"), used, aligned(4096))) static const unsigned char b[] = {{{values}}};'
    )


def found(tmp_path, compile_so, content):
    """The targets that are read of an object in a wheel: the wheel leaves out what code weighs."""
    module = compile_so(tmp_path / "objects" / "_C.so", fat(content))
    (item,) = read_wheel(pack(tmp_path / "a-1-py3-none-any.whl", [module])).objects
    return item.gfx


@pytest.mark.parametrize(
    ("content", "targets"),
    [
        (bundle("gfx90a:xnack-", "gfx942:sramecc+:xnack-"), {"gfx90a", "gfx942"}),
        (bundle("gfx90a", size=200_000) + bundle("gfx942") + bundle("gfx950"), {"gfx90a", "gfx942", "gfx950"}),
        (bundle("gfx9-4-generic", host=False), {"gfx9-4-generic"}),
        (compressed(bundle("gfx942")), {"gfx942"}),
        (compressed(bundle("gfx942"), version=3) + bundle("gfx950"), {"gfx942", "gfx950"}),
        (compressed(bundle("gfx942"), method=1) + bundle("gfx950"), {"gfx950"}),
        (b"\x01" * 9000, set()),
        (MAGIC + struct.pack("<Q", 1 << 40), set()),
    ],
    ids=["flags", "several", "generic", "zlib", "zlib of version 3", "zstd is not read", "something else", "no count"],
)
def test_targets(tmp_path, compile_so, content, targets):
    assert found(tmp_path, compile_so, content) == targets


def test_nothing_of_hip(tmp_path, compile_so):
    module = compile_so(tmp_path / "objects" / "_C.so", "int x;")
    (item,) = read_wheel(pack(tmp_path / "a-1-py3-none-any.whl", [module])).objects
    assert item.gfx == frozenset()
