from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, ClassVar

import pytest
from packaging.version import Version

from tests.locksets.indexes import answered_by
from verl_env.locksets import web
from verl_env.locksets.errors import IndexUnreachableError
from verl_env.locksets.index import (
    Index,
    IndexFile,
    Page,
    best_file,
    read_page,
    takeable,
)
from verl_env.locksets.target import LockTarget
from verl_env.locksets.web import fetch

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET = LockTarget("3.10", "x86_64", "2.35")


class Handler(BaseHTTPRequestHandler):
    """Serves ``answers``: per path a list of (status, content type, body), the last of which stays."""

    answers: ClassVar[dict[str, list[tuple[int, str, bytes]]]] = {}
    seen: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("Accept")))
        answers = self.answers[self.path]
        status, kind, body = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(answers: dict[str, list[tuple[int, str, bytes]]]) -> Iterator[str]:
    Handler.answers, Handler.seen = answers, []
    with answered_by(Handler) as address:
        yield address


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web.time, "sleep", lambda _: None)


HTML = f"""<!DOCTYPE html><html><body>
<a name="top">not a file</a>
<a href="../../files/thing-1.0-py3-none-any.whl#sha256={"a" * 64}" data-upload-time="2025-01-02T03:04:05.678Z">x</a>
<a href="/files/thing-1.0%2Blocal-py3-none-any.whl#md5=abc">x</a>
<a href="https://elsewhere.invalid/thing-2.0.tar.gz#sha256={"b" * 64}" data-yanked="">x</a>
</body></html>"""


def test_a_page_in_html():
    with serving({"/simple/thing/": [(200, "text/html", HTML.encode())]}) as url:
        files = Index(f"{url}/simple").files("thing")
        assert files == (
            IndexFile(
                "thing-1.0-py3-none-any.whl",
                f"{url}/files/thing-1.0-py3-none-any.whl",
                "a" * 64,
                "2025-01-02T03:04:05Z",
            ),
            IndexFile(
                "thing-1.0+local-py3-none-any.whl", f"{url}/files/thing-1.0%2Blocal-py3-none-any.whl", None, None
            ),
            IndexFile("thing-2.0.tar.gz", "https://elsewhere.invalid/thing-2.0.tar.gz", "b" * 64, None),
        )
        assert "application/vnd.pypi.simple.v1+json" in str(Handler.seen[0][1])


def test_a_page_in_json():
    page = {
        "name": "thing",
        "files": [
            {"filename": "thing-1.0.tar.gz", "url": "../../f/thing-1.0.tar.gz", "hashes": {"sha256": "c" * 64}},
            {
                "filename": "thing-1.1.tar.gz",
                "url": "https://e.invalid/x",
                "hashes": {},
                "upload-time": "2025-01-02T03:04:05.6Z",
            },
        ],
    }
    kind = "application/vnd.pypi.simple.v1+json"
    with serving({"/simple/thing/": [(200, kind, json.dumps(page).encode())]}) as url:
        assert Index(f"{url}/simple").files("thing") == (
            IndexFile("thing-1.0.tar.gz", f"{url}/f/thing-1.0.tar.gz", "c" * 64, None),
            IndexFile("thing-1.1.tar.gz", "https://e.invalid/x", None, "2025-01-02T03:04:05Z"),
        )


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"files": [{}]}', b'{"files": 3}'])
def test_json_of_another_form_is_an_error(body):
    with (
        serving({"/s/thing/": [(200, "application/json", body)]}) as url,
        pytest.raises(IndexUnreachableError) as caught,
    ):
        Index(f"{url}/s").files("thing")
    assert "PEP 691" in caught.value.message


@pytest.mark.parametrize(
    ("link", "name", "uploaded"),
    [
        ("<a href='a-1.tar.gz'>", "a-1.tar.gz", None),
        ('<A HREF="a-1.tar.gz" data-requires-python=">=3.8">', "a-1.tar.gz", None),
        ('<a data-requires-python="&gt;=3.8" href="x/y/a%2Bb-1.tar.gz?q=1">', "a+b-1.tar.gz", None),
        ("<a href=a-1.tar.gz data-upload-time=2025-01-02T03:04:05.6Z>", "a-1.tar.gz", "2025-01-02T03:04:05Z"),
        ('<a\n  class="x"\n  href = "a-1.tar.gz"\n>', "a-1.tar.gz", None),
    ],
)
def test_links_in_whatever_html(link, name, uploaded):
    page = f"<html><abbr href='no'>x</abbr>{link}y</a></html>"
    with serving({"/s/a/": [(200, "text/html", page.encode())]}) as url:
        (file,) = Index(f"{url}/s").files("a")
    assert (file.name, file.uploaded) == (name, uploaded)


def page_of(*attributes: str) -> Page:
    body = "".join(f"<a {each}>x</a>" for each in attributes).encode()
    with serving({"/s/a/": [(200, "text/html", body)]}) as url:
        return read_page(f"{url}/s/a/")


def test_only_links_that_may_be_meant_are_looked_at():
    page = page_of('href="a-1.0+cu9.tar.gz"', 'href="a-1.0%2Bcu9.zip"', 'href="a-2.0.zip"')
    assert [file.name for file in page.files("1.0+cu9")] == ["a-1.0+cu9.tar.gz", "a-1.0+cu9.zip"]
    assert len(page.files()) == 3


def test_threads_read_a_page_once():
    with serving({"/s/thing/": [(200, "text/html", HTML.encode())]}) as url, ThreadPoolExecutor(8) as pool:
        index = Index(f"{url}/s")
        assert len(set(pool.map(index.files, ["thing"] * 8))) == 1
        assert len(Handler.seen) == 1


def test_a_page_is_read_once():
    with serving({"/s/thing/": [(200, "text/html", HTML.encode())]}) as url:
        index = Index(f"{url}/s")
        assert index.files("thing") == index.files("thing")
        assert len(Handler.seen) == 1


def test_a_server_that_stumbles_is_asked_again():
    with serving({"/x": [(503, "text/plain", b""), (429, "text/plain", b""), (200, "text/plain", b"here")]}) as url:
        assert fetch(f"{url}/x").content == b"here"
        assert len(Handler.seen) == 3


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (403, 1), (500, web.ATTEMPTS)])
def test_a_refusal_is_an_error_with_its_address(status, requests):
    with serving({"/x": [(status, "text/plain", b"")]}) as url:
        with pytest.raises(IndexUnreachableError) as caught:
            fetch(f"{url}/x")
        assert (caught.value.address, caught.value.reason) == (f"{url}/x", f"HTTP {status}")
        assert len(Handler.seen) == requests


def test_no_server_is_an_error_in_the_end():
    with serving({}) as url:
        pass
    with pytest.raises(IndexUnreachableError) as caught:
        fetch(f"{url}/x")
    assert caught.value.passing
    assert "UV_INDEX_URL" in str(caught.value.hint)


def test_an_index_in_a_folder(folder):
    digest = folder.add("thing", "1.0")
    (file,) = Index(folder.url).files("thing")
    assert (file.name, file.sha256, file.uploaded) == ("thing-1.0-py3-none-any.whl", digest, "2025-01-01T00:00:00Z")
    assert hashlib.sha256(fetch(file.url).content).hexdigest() == digest


@pytest.mark.parametrize("address", ["file:///nowhere/at/all/", "gopher://example.invalid/", "nonsense"])
def test_addresses_that_lead_nowhere(address):
    with pytest.raises(IndexUnreachableError):
        read_page(address)


def test_the_files_of_a_release_as_of_a_date(folder):
    folder.add("thing", "1.0", uploaded="2025-01-01T00:00:00Z")
    folder.add("thing", "1.0", uploaded="2025-02-01T00:00:00Z", source=True)
    folder.add("thing", "1.0", uploaded=None, tag="cp310-cp310-linux_x86_64")
    folder.add("thing", "1.0.1", uploaded="2025-01-01T00:00:00Z")
    index = Index(folder.url)

    def names(version, before=None):
        return {file.name for file in index.release("thing", version, before)}

    wheel, source, undated = "thing-1.0-py3-none-any.whl", "thing-1.0.tar.gz", "thing-1.0-cp310-cp310-linux_x86_64.whl"
    assert names("1.0") == {wheel, source, undated}
    assert names("1.0", "2025-01-15T00:00:00Z") == {wheel, undated}
    assert names("1.0", "2025-01-01T00:00:00Z") == {undated}
    assert names("1") == names("1.0.0") == {wheel, source, undated}
    assert names("2.0") == set()


def file(name: str) -> IndexFile:
    return IndexFile(name, f"https://example.invalid/{name}", None, None)


@pytest.mark.parametrize(
    ("names", "best"),
    [
        (["a-1-py3-none-any.whl", "a-1-cp310-cp310-manylinux2014_x86_64.whl"], 1),
        (["a-1-cp310-cp310-manylinux_2_17_x86_64.whl", "a-1-cp310-cp310-manylinux_2_28_x86_64.whl"], 1),
        (["a-1-cp311-cp311-manylinux2014_x86_64.whl", "a-1-cp310-cp310-win_amd64.whl", "a-1.tar.gz"], 2),
        (["a-1.zip", "a-1.tar.gz"], 1),
        (["a-1.zip"], 0),
        (["a-1-cp310-cp310-manylinux_2_40_x86_64.whl"], None),
        ([], None),
    ],
)
def test_the_file_that_an_installer_takes(names, best):
    assert best_file([file(name) for name in names], TARGET) == (None if best is None else file(names[best]))


@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("Some_Thing-1.0-py3-none-any.whl", ("some-thing", Version("1.0"))),
        ("some_thing-1.0+cu9.torch2-py3-none-any.whl", ("some-thing", Version("1.0+cu9.torch2"))),
        ("some-thing-1.0.post1.tar.gz", ("some-thing", Version("1.0.post1"))),
        ("some.thing-1.0.zip", ("some-thing", Version("1.0"))),
        ("some-thing-1.0.exe", None),
        ("some_thing-nonsense-py3-none-any.whl", None),
        ("broken.whl", None),
    ],
)
def test_the_release_of_a_file_name(name, release):
    assert file(name).release == release


def wheel_file(tag):
    return IndexFile(f"demo-1.0-{tag}.whl", "", tag, None)


SDIST = IndexFile("demo-1.0.tar.gz", "", "sdist", None)


@pytest.mark.parametrize(
    ("tags", "least", "taken"),
    [
        (["py3-none-any", "cp311-cp311-manylinux2014_x86_64"], "2.17", {"py3-none-any"}),
        (["cp310-cp310-manylinux2014_x86_64", "cp310-cp310-manylinux_2_28_x86_64"], "2.17", ...),
        (["cp310-cp310-manylinux_2_39_x86_64", "cp310-cp310-manylinux2014_x86_64"], "2.17", ...),
        (["cp310-cp310-manylinux_2_28_x86_64"], "2.28", ...),
        (["cp310-cp310-manylinux_2_28_x86_64"], "2.17", {"cp310-cp310-manylinux_2_28_x86_64", "sdist"}),
        (["cp310-cp310-manylinux2014_aarch64", "cp310-cp310-win_amd64", "pp310-pypy310_pp73-any"], "2.17", {"sdist"}),
        (["cp39-abi3-manylinux1_x86_64", "cp312-abi3-manylinux1_x86_64"], "2.17", {"cp39-abi3-manylinux1_x86_64"}),
    ],
)  # fmt: skip
def test_what_a_machine_of_the_target_may_take(tags, least, taken):
    files = [*map(wheel_file, tags), SDIST]
    found = {file.sha256 for file in takeable(files, LockTarget("3.10", "x86_64", "2.35"), least)}
    assert found == (set(tags) if taken is ... else taken)
    for glibc in ("2.17", "2.28", "2.31", "2.35", "2.39", "2.41"):
        best = best_file(files, LockTarget("3.10", "x86_64", glibc))
        assert best is None or best.sha256 in found or glibc < least
