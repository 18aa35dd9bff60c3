"""The manifest: the same for the same contents, and refused with the key where it is not one."""

import json
from pathlib import Path

import pytest

from tests.bundle.bundles import manifest
from verl_env.bundle.errors import BundleInvalidError
from verl_env.bundle.manifest import from_bytes, to_bytes

PATH = Path("demo")


def test_it_reads_what_it_writes():
    assert from_bytes(to_bytes(manifest()), PATH) == manifest()


def test_the_order_of_files_is_of_no_matter():
    held = manifest()
    turned = type(held)(held.files[::-1], held.plans, held.tool, held.tool_pythons)
    assert to_bytes(turned) == to_bytes(held)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../b", "a//b", "", "a\\b", "./a", "a\0"])
def test_paths_that_lead_elsewhere_are_refused(path):
    document = json.loads(to_bytes(manifest()))
    document["files"][0]["path"] = path
    with pytest.raises(BundleInvalidError, match=r"files\[0\].path"):
        from_bytes(json.dumps(document).encode(), PATH)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(format=99), "format is 99"),
        (lambda d: d.pop("files"), "files is missing"),
        (lambda d: d["files"].append(d["files"][0]), "names a file twice"),
        (lambda d: d["files"][0].update(sha256="zz"), "64 hexadecimal"),
        (lambda d: d["plans"][0].update(stack=3), "plans"),
        (lambda d: d.update(surprise=1), "surprise"),
    ],
)
def test_what_is_wrong_is_named(change, words):
    document = json.loads(to_bytes(manifest()))
    change(document)
    with pytest.raises(BundleInvalidError, match=words):
        from_bytes(json.dumps(document).encode(), PATH)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"{", b"null", b"[" * 100_000])
def test_what_is_no_json_is_refused(content):
    with pytest.raises(BundleInvalidError):
        from_bytes(content, PATH)
