from __future__ import annotations

import io
import re
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.locksets.indexes import answered_by, metadata
from verl_env.locksets import wheelfacts
from verl_env.locksets.errors import IndexUnreachableError
from verl_env.locksets.index import Index, IndexFile
from verl_env.locksets.web import Response
from verl_env.locksets.wheelfacts import RemoteFile, WheelFacts, cache_directory, wheel_facts

if TYPE_CHECKING:
    from collections.abc import Iterator


class Ranges(BaseHTTPRequestHandler):
    """One file, by ranges where ``ranges`` says so; ``sent`` counts the bytes."""

    content: ClassVar[bytes] = b""
    ranges: ClassVar[bool] = True
    sent: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        body, status = self.content, 200
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if self.ranges and wanted:
            total = len(self.content)
            start = int(wanted[1]) if wanted[1] else max(total - int(wanted[2]), 0)
            end = int(wanted[2]) if wanted[1] and wanted[2] else total - 1
            body, status = self.content[start : end + 1], 206
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{start + len(body) - 1}/{total}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.sent.append(len(body))
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(content: bytes, *, ranges: bool = True) -> Iterator[str]:
    Ranges.content, Ranges.ranges, Ranges.sent = content, ranges, []
    with answered_by(Ranges) as address:
        yield f"{address}/big-1.0-py3-none-any.whl"


def big_wheel(*, first: bool = False) -> bytes:
    """A wheel of 2 MB whose METADATA stands far from its directory (or at its very beginning)."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        entries = [("big-1.0.dist-info/METADATA", metadata("big", "1.0", ["numpy<2"])), ("big/data", "x" * 2_000_000)]
        for name, text in entries if first else reversed(entries):
            archive.writestr(zipfile.ZipInfo(name), text)
    return content.getvalue()


def wheel_at(url: str, sha256: str | None = None) -> IndexFile:
    return IndexFile("big-1.0-py3-none-any.whl", url, sha256, None)


@pytest.mark.parametrize("first", [True, False])
def test_a_wheel_is_not_downloaded_for_its_metadata(first):
    content = big_wheel(first=first)
    with serving(content) as url:
        facts = wheel_facts(wheel_at(url))
    assert "Requires-Dist: numpy<2" in facts.metadata
    assert facts.download_bytes == len(content)
    assert facts.disk_bytes == 2_000_000 + len(metadata("big", "1.0", ["numpy<2"]))
    assert sum(Ranges.sent) < 300_000


def test_a_server_without_ranges_is_read_whole():
    content = big_wheel()
    with serving(content, ranges=False) as url:
        facts = wheel_facts(wheel_at(url))
    assert facts.download_bytes == len(content)
    assert Ranges.sent == [len(content)]


def test_what_was_learnt_is_kept(tmp_path):
    with serving(big_wheel()) as url:
        first = wheel_facts(wheel_at(url, "f" * 64), tmp_path)
        assert Ranges.sent
        Ranges.sent.clear()
        assert wheel_facts(wheel_at(url, "f" * 64), tmp_path) == first
        assert not Ranges.sent
    assert [file.name for file in tmp_path.iterdir()] == [f"{'f' * 64}.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"metadata": "x"}'])
def test_a_spoilt_cache_entry_is_read_anew(tmp_path, content):
    (tmp_path / f"{'f' * 64}.json").write_text(content)
    with serving(big_wheel()) as url:
        assert wheel_facts(wheel_at(url, "f" * 64), tmp_path).disk_bytes > 2_000_000


def test_the_cache_is_where_the_user_has_it(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "verl-env" / "metadata"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_directory() == tmp_path / "home" / ".cache" / "verl-env" / "metadata"


def test_a_source_archive(folder):
    folder.add("thing", "1.0", source=True, size=5000)
    (file,) = Index(folder.url).files("thing")
    size = (folder.root / "files" / "thing-1.0.tar.gz").stat().st_size
    assert wheel_facts(file) == WheelFacts("", size, 5000)


def test_a_source_archive_in_zip_form(tmp_path):
    with zipfile.ZipFile(tmp_path / "thing-1.0.zip", "w") as archive:
        archive.writestr("thing/setup.py", "#" * 70)
    file = IndexFile("thing-1.0.zip", (tmp_path / "thing-1.0.zip").as_uri(), None, None)
    assert wheel_facts(file).disk_bytes == 70


@pytest.mark.parametrize("name", ["thing-1.0-py3-none-any.whl", "thing-1.0.tar.gz", "thing-1.0.zip"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04"])
def test_what_is_no_archive_is_an_error(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(IndexUnreachableError, match="is no wheel or source archive"):
        wheel_facts(IndexFile(name, (tmp_path / name).as_uri(), None, None))


def test_a_wheel_without_metadata_is_an_error(tmp_path):
    with zipfile.ZipFile(tmp_path / "a-1-py3-none-any.whl", "w") as archive:
        archive.writestr("a/deep/b.dist-info/METADATA", "no")
    with pytest.raises(IndexUnreachableError):
        wheel_facts(IndexFile("a-1-py3-none-any.whl", (tmp_path / "a-1-py3-none-any.whl").as_uri(), None, None))


def answering(content: bytes, url: str, headers: dict[str, str]) -> Response:
    """What a server that knows ranges answers."""
    start, end = re.fullmatch(r"bytes=(\d*)-(\d*)", headers["Range"]).groups()
    part = content[int(start) : int(end) + 1] if start else content[-int(end) :]
    return Response(url, 206, {"content-range": f"bytes x-y/{len(content)}"}, part)


@given(
    tail=st.integers(1, 2000),
    reads=st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 1200)), min_size=1, max_size=4),
)
def test_a_remote_file_reads_as_a_local_one(tail, reads):
    content = bytes(range(256)) * 4
    local = io.BytesIO(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wheelfacts, "TAIL", tail)
        patch.setattr(wheelfacts, "fetch", lambda url, headers: answering(content, url, headers))
        remote = RemoteFile("https://example.invalid/a.whl")
        assert remote.size == len(content)
        buffered = io.BufferedReader(remote, 16)
        for where, length in reads:
            assert buffered.seek(where) == local.seek(where)
            assert buffered.read(length) == local.read(length)
        assert remote.seek(-3, io.SEEK_END) == len(content) - 3
        assert remote.seek(1, io.SEEK_CUR) == len(content) - 2
        assert remote.read(10) == content[-2:]
        assert remote.read(10) == b""


def test_threads_that_keep_the_same_file_do_not_disturb_each_other(tmp_path):
    facts = wheelfacts.WheelFacts("Metadata-Version: 2.1\n", 1, 2)
    file = tmp_path / "metadata" / "0.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: wheelfacts._keep(file, facts), range(200)))
    assert wheelfacts._kept(file) == facts
    assert [path.name for path in file.parent.iterdir()] == ["0.json"]
