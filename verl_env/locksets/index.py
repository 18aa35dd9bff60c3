"""The package index, read as PEP 503 (HTML), PEP 691 (JSON) and PEP 700 (upload times) have it."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from verl_env.locksets.errors import IndexUnreachableError
from verl_env.locksets.web import fetch
from verl_env.reading import json_of
from verl_env.records import record, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.tags import Tag

    from verl_env.locksets.target import LockTarget

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"

#: The index of pip and uv where none is configured.
PYPI = "https://pypi.org/simple"

#: Beyond every glibc that a platform tag can name for years to come: two or so are released a year (2.41 in 2025).
NEWEST_GLIBC = "2.99"


@record
class IndexFile:
    """One file of a project on the index.

    ``uploaded`` is the time it was put there and ``size`` its bytes, where the index says (PEP 700);
    ``requires_python`` the Pythons that it is for, "" where that is not said.
    """

    name: str
    url: str
    sha256: str | None
    uploaded: str | None
    size: int | None = None
    requires_python: str = ""

    def takes(self, python: str) -> bool:
        """Whether it is for some patch release of a Python, ``"3.10"``; what cannot be read is."""
        try:
            specifier = SpecifierSet(self.requires_python)
        except InvalidSpecifier:
            return True
        return specifier.contains(f"{python}.0") or specifier.contains(f"{python}.99")

    @property
    def is_wheel(self) -> bool:
        """Whether it is a wheel (else a source archive, or something older)."""
        return self.name.endswith(".whl")

    @property
    def release(self) -> tuple[str, Version] | None:
        """Project and version; None where its name is not that of a wheel or source archive."""
        try:
            if self.is_wheel:
                return parse_wheel_filename(self.name)[:2]
            return parse_sdist_filename(self.name)
        except (InvalidWheelFilename, InvalidSdistFilename):
            return None

    @property
    def tags(self) -> frozenset[Tag]:
        """The tags of a wheel; none for other files."""
        return frozenset(parse_wheel_filename(self.name)[3]) if self.is_wheel else frozenset()


@record
class Page:
    """A page of links: its address, and each link in the form of PEP 691, for most are never looked at."""

    url: str
    entries: tuple[Mapping[str, Any], ...]

    def files(self, containing: str = "") -> tuple[IndexFile, ...]:
        """The files that the page lists; only those whose name contains a text where one is given."""
        return tuple(_file(entry, self.url) for entry in self.entries if containing in entry["filename"])


@dataclass
class Index:
    """One index; its pages are read once and kept for the life of the object. Threads may share it."""

    url: str
    _pages: dict[str, Page] = field(default_factory=dict)
    _locks: dict[str, Lock] = field(default_factory=dict)

    def files(self, project: str, containing: str = "") -> tuple[IndexFile, ...]:
        """The files of a project (its normalised name), as the index lists them.

        Args:
            project: its name.
            containing: only files whose name contains this.

        Raises:
            IndexUnreachableError: the page could not be read.
        """
        with self._locks.setdefault(project, Lock()):
            if project not in self._pages:
                self._pages[project] = read_page(f"{self.url.rstrip('/')}/{project}/")
        return self._pages[project].files(containing)

    def release(self, project: str, version: str, before: str | None = None) -> tuple[IndexFile, ...]:
        """The files of one release, without those put there at or after a time (a full UTC timestamp).

        Raises:
            IndexUnreachableError: the page of the project could not be read.
        """
        wanted = (project, Version(version))
        found = [file for file in self.files(project, version) if file.release == wanted]
        found = found or [file for file in self.files(project) if file.release == wanted]
        return tuple(file for file in found if not before or not file.uploaded or file.uploaded < before)


def best_file(files: Iterable[IndexFile], target: LockTarget) -> IndexFile | None:
    """The file an installer takes for a target: the wheel with the best tag, else the source archive."""
    ranks = target.tags
    ranked = []
    sdists = []
    for file in files:
        if not file.takes(target.python):
            continue
        if file.is_wheel:
            fitting = [ranks[tag] for tag in file.tags if tag in ranks]
            if fitting:
                ranked.append((min(fitting), file.name, file))
        else:
            sdists.append(file)
    if ranked:
        return min(ranked)[2]
    return min(sdists, key=lambda file: (not file.name.endswith(".tar.gz"), file.name), default=None)


def takeable(files: Iterable[IndexFile], target: LockTarget, least_glibc: str) -> tuple[IndexFile, ...]:
    """The files that an installer may take on any machine of a target's Python and architecture.

    Wheels for any glibc; source archives only where none of them is for ``least_glibc``, so that no machine with that
    or a later one builds what it could have had.
    """
    every = tuple(files)
    newest, least = (replace(target, glibc=glibc).tags for glibc in (NEWEST_GLIBC, least_glibc))
    fitting = [file for file in every if not file.tags.isdisjoint(newest)]
    if any(not file.tags.isdisjoint(least) for file in fitting):
        return tuple(fitting)
    return tuple(file for file in every if file in fitting or not file.is_wheel)


def read_page(address: str) -> Page:
    """The page of a project, or a page of links, in either form.

    Raises:
        IndexUnreachableError: the page could not be read, or is of neither form.
    """
    if address.startswith("file:"):
        address += "index.html"
    response = fetch(address, {"Accept": ACCEPT})
    if "json" not in response.headers.get("content-type", ""):
        links = _Links()
        links.feed(response.content.decode("utf-8", "replace"))
        return Page(response.url, tuple(links.found))
    try:
        entries = json_of(response.content)["files"]
        return Page(response.url, tuple(map(_checked, entries)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IndexUnreachableError(address, f"its JSON is not that of PEP 691 ({error!r})") from error


def _checked(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """An entry of PEP 691 that has all that is read of one."""
    if not isinstance(entry["filename"] + entry["url"], str):
        raise TypeError(entry)
    entry["hashes"].get("sha256")
    return entry


class _Links(HTMLParser):
    """The links of a page of PEP 503, each in the form of PEP 691."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Mapping[str, Any]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag != "a" or not (address := values.get("href")):
            return
        url, fragment = urldefrag(address)
        name = values.get("data-filename") or unquote(urlsplit(url).path.rsplit("/", 1)[-1])
        hashes = dict([fragment.split("=", 1)]) if "=" in fragment else {}
        size = values.get("data-size") or ""
        entry = {"filename": name, "url": url, "hashes": hashes, "upload-time": values.get("data-upload-time")}
        entry |= {"requires-python": values.get("data-requires-python")}
        self.found.append({**entry, "size": int(size) if size.isdecimal() else None})


def _file(entry: Mapping[str, Any], base: str) -> IndexFile:
    """The file that a link stands for."""
    uploaded, size = entry.get("upload-time"), entry.get("size")
    return IndexFile(
        entry["filename"],
        urljoin(base, entry["url"]),
        entry["hashes"].get("sha256"),
        uploaded[:19] + "Z" if uploaded else None,
        size if isinstance(size, int) else None,
        entry.get("requires-python") or "",
    )
