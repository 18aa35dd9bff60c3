"""A package index in a folder, of wheels made here: no network, no real package."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path


def metadata(name: str, version: str, requires: Sequence[str] = ()) -> str:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    return "\n".join([*lines, *(f"Requires-Dist: {line}" for line in requires), ""])


def wheel(name: str, version: str, requires: Sequence[str] = (), tag: str = "py3-none-any", size: int = 10) -> bytes:
    stem = f"{name.replace('-', '_')}-{version}"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(zipfile.ZipInfo(f"{name.replace('-', '_')}/__init__.py"), "#" * size)
        archive.writestr(zipfile.ZipInfo(f"{stem}.dist-info/METADATA"), metadata(name, version, requires))
        archive.writestr(zipfile.ZipInfo(f"{stem}.dist-info/WHEEL"), f"Wheel-Version: 1.0\nTag: {tag}\n")
        archive.writestr(zipfile.ZipInfo(f"{stem}.dist-info/RECORD"), "")
    return content.getvalue()


def sdist(name: str, version: str, size: int = 10) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        member = tarfile.TarInfo(f"{name}-{version}/setup.py")
        member.size = size
        archive.addfile(member, io.BytesIO(b"#" * size))
    return content.getvalue()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answered_by(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server on this machine; gives its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def serving(root: Path) -> AbstractContextManager[str]:
    """Serves a folder on this machine; gives its address."""
    return answered_by(partial(Quiet, directory=str(root)))


@dataclass
class Folder:
    """A PEP 503 index in a folder; ``add`` puts files on it, ``write`` makes the pages."""

    root: Path
    links: dict[str, list[str]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.root.as_uri()

    def add(
        self,
        name: str,
        version: str,
        requires: Sequence[str] = (),
        *,
        tag: str = "py3-none-any",
        uploaded: str | None = "2025-01-01T00:00:00.123456Z",
        source: bool = False,
        hashed: bool = True,
        size: int = 10,
    ) -> str:
        """Puts one file on the index and returns its SHA-256."""
        stem = f"{name.replace('-', '_')}-{version}"
        filename = f"{stem}.tar.gz" if source else f"{stem}-{tag}.whl"
        content = sdist(name, version, size) if source else wheel(name, version, requires, tag, size)
        (self.root / "files").mkdir(parents=True, exist_ok=True)
        (self.root / "files" / filename).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        fragment = f"#sha256={digest}" if hashed else ""
        stamp = f' data-upload-time="{uploaded}"' if uploaded else ""
        self.links.setdefault(name, []).append(
            f'<a href="../files/{filename.replace("+", "%2B")}{fragment}"{stamp}>{filename}</a><br/>'
        )
        self.write()
        return digest

    def write(self) -> None:
        for name, links in self.links.items():
            page = self.root / name / "index.html"
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text("<!DOCTYPE html><html><body>" + "\n".join(links) + "</body></html>")
