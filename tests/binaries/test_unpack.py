"""The image of an object against the object itself: equal but for the payload of GPU code."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.binaries.test_cubin import blob, entry, record
from verl_env.binaries import unpack
from verl_env.binaries.cubin import architectures, read_architectures
from verl_env.binaries.elf import ElfError, ElfFile, read_elf
from verl_env.binaries.unpack import image_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Compile

MAGIC = struct.pack("<I", 0xBA55ED50)


def zipped(content: bytes, compression: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("before.txt", "x" * 100)
        archive.writestr("x.so", content)
    return stream


def unpacked(stream: io.BytesIO) -> bytes | None:
    member = zipfile.ZipFile(stream).getinfo("x.so")
    image = image_of(stream, member)
    if image is None:
        return None
    with image:
        return image[:]


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size).replace(MAGIC, b"none")


def elf(*parts: bytes) -> bytes:
    """Bytes that begin as an object does, each part at a place that 8 divides."""
    return b"".join(part + b"\0" * (-len(part) % 8) for part in (b"\x7fELF", *parts))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("size", [0, 1, 4, 100_000, 32 * 1024, 700_001])
def test_all_is_kept_where_there_is_no_gpu_code(size: int, compression: int) -> None:
    content = elf(noise(size), b"\0" * 300_000, noise(10))

    assert unpacked(zipped(content, compression)) == content


@pytest.mark.parametrize("before", [8, 32 * 1024 - 16, 32 * 1024 - 8, 300_000])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_payload_of_gpu_code_is_left_out(before: int, compression: int) -> None:
    gpu = record(entry(2, 80, 4096), entry(1, 90, 200_000)) + record(entry(2, 90, 8))
    head, tail = elf(noise(before)), noise(5000)
    content = head + gpu + tail

    image = unpacked(zipped(content, compression))

    assert image is not None
    assert image[: len(head)] == head
    assert image[len(head) + len(gpu) :] == tail
    assert image[len(head) : len(head) + 16 + 64] == gpu[: 16 + 64]
    assert image[len(head) : len(head) + len(gpu)].count(0xEE) == 0
    assert gpu.count(0xEE) > 200_000


@pytest.mark.parametrize(
    "fake",
    [
        MAGIC,
        MAGIC + b"\x90" * 40,
        struct.pack("<IHHQ", 0xBA55ED50, 2, 16, 400) + b"\xee" * 400,
        struct.pack("<IHHQ", 0xBA55ED50, 1, 16, 400) + b"\xee" * 400,
        b"\x90" * 3 + record(entry(2, 80, 400)),
        MAGIC * 40,
    ],
)
def test_what_only_looks_like_gpu_code_is_kept(fake: bytes) -> None:
    content = elf(noise(1000), fake, noise(1000))

    assert unpacked(zipped(content)) == content


def test_an_object_of_the_compiler(tmp_path: Path, compile_so: Compile) -> None:
    path = blob(tmp_path / "x.so", record(entry(2, 80, 5000), entry(2, 90, 5000)), compile_so)
    stream = zipped(path.read_bytes())
    image = image_of(stream, zipfile.ZipFile(stream).getinfo("x.so"))
    assert image is not None

    with ElfFile(path, image) as found:
        assert found.info() == read_elf(path)
        assert architectures(found, found.read) == read_architectures(path)
        assert found.read(0, 4) == b"\x7fELF"


@pytest.mark.parametrize("content", [b"", b"INPUT(libx.so.1)", b"\x7fEL"])
def test_what_is_no_object(content: bytes) -> None:
    assert unpacked(zipped(content)) is None


def test_a_bomb_that_is_no_object_is_not_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = zipped(b"\0" * (64 << 20))
    taken = []
    inflated = unpack._inflated
    monkeypatch.setattr(unpack, "_inflated", lambda packed: (taken.append(len(c)) or c for c in inflated(packed)))

    assert unpacked(stream) is None
    assert len(taken) == 1


def test_an_object_larger_than_objects_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "LARGEST", 1000)

    with pytest.raises(ElfError, match="says that it has 1004 bytes"):
        unpacked(zipped(b"\x7fELF" + b"\0" * 1000))


def test_more_to_keep_than_there_is_memory_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "LARGEST_KEPT", 100_000)

    with pytest.raises(ElfError, match="more than 100000 bytes"):
        unpacked(zipped(elf(noise(1_000_000))))


def test_zeros_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "LARGEST_KEPT", 2 << 20)

    assert unpacked(zipped(b"\x7fELF" + b"\0" * (20 << 20))) == b"\x7fELF" + b"\0" * (20 << 20)


@pytest.mark.parametrize("says", [999, 1001, 5])
def test_a_member_of_another_size_than_it_says(says: int) -> None:
    stream = zipped(b"\x7fELF" + b"x" * 996)
    member = zipfile.ZipFile(stream).getinfo("x.so")
    member.file_size = says

    with pytest.raises(zipfile.BadZipFile, match="its size"):
        image_of(stream, member)


def test_a_damaged_member() -> None:
    stream = zipped(elf(noise(100_000)), zipfile.ZIP_DEFLATED)
    content = bytearray(stream.getvalue())
    content[50_000:50_100] = b"\xff" * 100
    stream = io.BytesIO(bytes(content))
    member = zipfile.ZipFile(stream).getinfo("x.so")
    member.file_size += 1

    with pytest.raises(zipfile.BadZipFile):
        image_of(stream, member)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"compress_type": zipfile.ZIP_LZMA}, "another way"),
        ({"flag_bits": 1}, "encrypted"),
        ({"header_offset": 3}, "not where"),
        ({"header_offset": 1 << 40}, "not where"),
        ({"header_offset": 1 << 64}, "not where"),
        ({"header_offset": -7}, "not where"),
        ({"compress_size": 1 << 30}, "its size|cut off"),
    ],
)
def test_a_directory_that_misleads(change: dict[str, int], reason: str) -> None:
    stream = zipped(elf(noise(1000)), zipfile.ZIP_STORED)
    member = zipfile.ZipFile(stream).getinfo("x.so")
    for name, value in change.items():
        setattr(member, name, value)

    with pytest.raises(zipfile.BadZipFile, match=reason):
        image_of(stream, member)


PIECES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.just(MAGIC),
        st.just(record(entry(2, 90, 64))),
        st.just(record(entry(1, 80, 8), entry(2, 80, 40))),
        st.builds(lambda a, b, c: struct.pack("<IHHQ", 0xBA55ED50, a, b, c), *[st.integers(0, 300)] * 3),
    ),
    max_size=12,
)


@given(PIECES, st.integers(1, 70))
def test_every_kept_byte_is_in_its_place(pieces: list[bytes], chunk: int) -> None:
    content = elf(*pieces)
    member = zipfile.ZipFile(zipped(content, zipfile.ZIP_STORED)).getinfo("x.so")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unpack, "_CHUNK", chunk)
        image = image_of(zipped(content, zipfile.ZIP_STORED), member)
    assert image is not None
    with image:
        assert all(here in {0, there} for here, there in zip(image[:], content, strict=True))
