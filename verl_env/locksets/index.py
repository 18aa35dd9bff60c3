"""The package index, read as PEP 503 (HTML), PEP 691 (JSON) and PEP 700 (upload times) have it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.request import Request, urlopen

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from verl_env.locksets.errors import IndexUnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.tags import Tag

    from verl_env.locksets.target import Target

#: The default of pip and uv where nothing is configured.
DEFAULT_INDEX = "https://pypi.org/simple"
ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
TIMEOUT = 60
ATTEMPTS = 4


def configured_index() -> str:
    """The index that uv and pip are configured for, in that order; extra indices are not used for locks."""
    for variable in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        if chosen := os.environ.get(variable):
            return chosen.rstrip("/")
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip().rstrip("/") or DEFAULT_INDEX


@dataclass(frozen=True, slots=True)
class IndexFile:
    """One file of a project on the index; ``uploaded`` is the time it was put there, where the index says."""

    name: str
    url: str
    sha256: str | None
    uploaded: str | None

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


@dataclass
class Index:
    """One index; its pages are read once and kept for the life of the object."""

    url: str
    _pages: dict[str, tuple[IndexFile, ...]] = field(default_factory=dict)

    def files(self, project: str) -> tuple[IndexFile, ...]:
        """Every file of a project (its normalised name), as the index lists them.

        Raises:
            IndexUnreachableError: the page could not be read.
        """
        if project not in self._pages:
            self._pages[project] = read_page(f"{self.url}/{project}/")
        return self._pages[project]

    def release(self, project: str, version: str, before: str | None = None) -> tuple[IndexFile, ...]:
        """The files of one release, without those put there at or after a time (a full UTC timestamp)."""
        wanted = (project, Version(version))
        likely = [file for file in self.files(project) if version in file.name] or self.files(project)
        return tuple(
            file
            for file in likely
            if file.release == wanted and (not before or not file.uploaded or file.uploaded < before)
        )


def best_file(files: Iterable[IndexFile], target: Target) -> IndexFile | None:
    """The file an installer takes for a target: the wheel with the best tag, else the source archive."""
    ranks = target.tags
    ranked = []
    sdists = []
    for file in files:
        if file.is_wheel:
            fitting = [ranks[tag] for tag in file.tags if tag in ranks]
            if fitting:
                ranked.append((min(fitting), file.name, file))
        else:
            sdists.append(file)
    if ranked:
        return min(ranked)[2]
    return min(sdists, key=lambda file: (not file.name.endswith(".tar.gz"), file.name), default=None)


def read_page(address: str) -> tuple[IndexFile, ...]:
    """The files that a project page lists, in either form.

    Raises:
        IndexUnreachableError: the page could not be read, or is of neither form.
    """
    if address.startswith("file:"):
        address += "index.html"
    response = fetch(address, {"Accept": ACCEPT})
    content, kind, base = response.content, response.headers.get("content-type", ""), response.url
    if "json" in kind:
        try:
            return tuple(_from_json(entry, base) for entry in json.loads(content)["files"])
        except (ValueError, KeyError, TypeError) as error:
            raise IndexUnreachableError(address, f"its JSON is not that of PEP 691 ({error!r})") from error
    page = _Page(base)
    page.feed(content.decode("utf-8", "replace"))
    return tuple(page.found)


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to one request; header names are in lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    content: bytes


def fetch(address: str, headers: Mapping[str, str] | None = None) -> Response:
    """The content of an address; tried a few times, as indices have bad moments.

    Raises:
        IndexUnreachableError: every attempt failed, or the server says that it is not there.
    """
    for attempt in range(1, ATTEMPTS):
        try:
            return _fetch_once(address, headers or {})
        except IndexUnreachableError as error:
            if not error.passing:
                raise
        time.sleep(2**attempt / 2)
    return _fetch_once(address, headers or {})


def _fetch_once(address: str, headers: Mapping[str, str]) -> Response:
    try:
        with urlopen(Request(address, headers=dict(headers)), timeout=TIMEOUT) as answer:  # noqa: S310
            found = {name.lower(): value for name, value in answer.headers.items()}
            return Response(answer.url, getattr(answer, "status", None) or HTTPStatus.OK, found, answer.read())
    except HTTPError as error:
        error.close()
        passing = error.code >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code == HTTPStatus.TOO_MANY_REQUESTS
        raise IndexUnreachableError(address, f"HTTP {error.code}", passing=passing) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        passing = not isinstance(reason, (FileNotFoundError, ValueError))
        raise IndexUnreachableError(address, str(reason), passing=passing) from error


def _from_json(entry: dict[str, Any], base: str) -> IndexFile:
    return IndexFile(
        entry["filename"], urljoin(base, entry["url"]), entry["hashes"].get("sha256"), _utc(entry.get("upload-time"))
    )


class _Page(HTMLParser):
    """The links of a PEP 503 page."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base
        self.found: list[IndexFile] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        href = values.get("href")
        if tag != "a" or not href:
            return
        url, fragment = urldefrag(urljoin(self.base, href))
        digest = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else None
        name = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
        self.found.append(IndexFile(name, url, digest, _utc(values.get("data-upload-time"))))


def _utc(stamp: str | None) -> str | None:
    """An upload time without its fraction of a second."""
    return stamp[:19] + "Z" if stamp else None
