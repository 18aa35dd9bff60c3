"""Packs that somebody else made: nothing gets out of their directory, nothing hangs or floods, and nothing is left."""

import io
import json
import os
import shutil
import subprocess
import tarfile
from types import SimpleNamespace

import pytest

from verl_env.builds import unpack as archives
from verl_env.bundle.packing import image
from verl_env.bundle.packing.errors import PackInvalidError
from verl_env.bundle.packing.model import FILE, FILES
from verl_env.bundle.packing.unpack import unpack

pytestmark = pytest.mark.skipif(shutil.which("zstd") is None, reason="needs zstd")

SAID = {
    **dict.fromkeys(("lockset", "stack", "tool", "made"), "x"),
    "python": "3.11",
    "arch": os.uname().machine,
    "glibc": "2.17",
    "libraries": [],
    "optional": [],
    "files": 1,
    "bytes": 1,
    "format": 1,
}


def pack_of(to, members=(), said=SAID, listing=""):
    """A pack with these members: (name, type, where it links to or its content)."""
    stream = io.BytesIO()
    text = said if isinstance(said, str) else json.dumps(said)
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, kind, value in (*members, (FILE, tarfile.REGTYPE, text), (FILES, tarfile.REGTYPE, listing)):
            entry = tarfile.TarInfo(name)
            entry.type, content = kind, b""
            if kind == tarfile.REGTYPE:
                content = value.encode()
            else:
                entry.linkname = value
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    to.write_bytes(subprocess.run(["zstd", "-qc"], input=stream.getvalue(), stdout=subprocess.PIPE, check=True).stdout)
    return to


def refused(file, tmp_path, words):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(PackInvalidError, match=words) as caught:
        unpack(file, tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before
    assert len(caught.value.message) < 2000


@pytest.mark.parametrize(
    "members",
    [
        [("../evil", tarfile.REGTYPE, "x")],
        [("/tmp/evil", tarfile.REGTYPE, "x")],
        [("d", tarfile.SYMTYPE, "../.."), ("d/evil", tarfile.REGTYPE, "x")],
        [("h", tarfile.LNKTYPE, "/etc/passwd")],
    ],
)
def test_nothing_gets_out(tmp_path, members):
    refused(pack_of(tmp_path / "p.tar.zst", members), tmp_path, "lies outside it")


@pytest.mark.parametrize(
    "said",
    [
        "[]",
        "[" * 100_000,
        {**SAID, "glibc": 3},
        {**SAID, "glibc": "9" * 6000},
        {**SAID, "libraries": [1]},
        {**SAID, "libraries": "abc"},
        {**SAID, "arch": None},
        {**SAID, "format": "9"},
        {**SAID, "format": 99},
        {**SAID, "more": 1},
        {},
    ],
)
def test_what_it_says_of_itself_is_of_the_known_form(tmp_path, said):
    refused(pack_of(tmp_path / "p.tar.zst", said=said), tmp_path, FILE.replace(".", r"\.") + "|format")


def test_a_list_of_odd_lines(tmp_path):
    refused(pack_of(tmp_path / "p.tar.zst", listing="x\n"), tmp_path, "is no list of files")
    refused(pack_of(tmp_path / "p.tar.zst", listing=f"a  b  {'x' * 200_000}\n"), tmp_path, "not as they were packed")


def test_what_holds_more_than_there_is_room_for(tmp_path, monkeypatch):
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: SimpleNamespace(free=50_000))
    file = pack_of(tmp_path / "p.tar.zst", [("zeros", tarfile.REGTYPE, "0" * 60_000)])
    assert file.stat().st_size < 2000
    refused(file, tmp_path, "60.* kB or more, and 50 kB are free")


@pytest.mark.skipif(shutil.which("mksquashfs") is None, reason="needs squashfs-tools")
def test_a_hole_that_takes_no_room_in_an_image(tmp_path, monkeypatch):
    (tmp_path / "holes").mkdir()
    with (tmp_path / "holes" / "hole").open("wb") as file:
        file.truncate(1 << 20)
    image.make_image(tmp_path / "holes", tmp_path / "p.squashfs", "squashfs", 1)
    monkeypatch.setattr(image.shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 19))
    refused(tmp_path / "p.squashfs", tmp_path, "it holds 1.* MB, and 524 kB are free")


def test_a_fifo_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "p.squashfs")
    refused(tmp_path / "p.squashfs", tmp_path, "a FIFO")
