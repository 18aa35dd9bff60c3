"""The one reader of metadata, held against the parsers of packaging."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from packaging.direct_url import DirectUrl
from packaging.metadata import parse_email

from verl_env.environment.metadata import Metadata, headers, metadata_of, read_installer, read_origin, read_tags

HERE = sorted(path for entry in sys.path for path in Path(entry).glob("*.dist-info/METADATA") if entry)
FOLDED = """Metadata-Version: 2.1
Name: Folded.Name
Version: 1.0+cu12
License: first line
        second: line
        Name: not-a-field
Requires-Python: >=3.9
Requires-Dist: torch==2.6.0
Requires-Dist: einops; extra == 'x'
Provides-Extra: x

Name: in the body
Requires-Dist: nothing
"""


def same(text: str) -> None:
    """What is used of a text is what packaging reads of it."""
    stated, _ = parse_email(text)
    assert metadata_of(text, "", "") == Metadata(
        stated.get("name", ""),
        stated.get("version", ""),
        tuple(stated.get("requires_dist", ())),
        tuple(stated.get("provides_extra", ())),
        stated.get("requires_python"),
    )


@pytest.mark.parametrize("text", [FOLDED, FOLDED.replace("\n", "\r\n"), "Name: a\nVersion: 1", "\n", ""])
def test_it_reads_what_packaging_reads(text: str) -> None:
    same(text)


def test_it_reads_what_packaging_reads_of_what_is_installed_here() -> None:
    assert len(HERE) > 20
    for file in HERE:
        same(file.read_text(encoding="utf-8"))


def test_what_a_file_does_not_state_comes_from_its_name() -> None:
    assert metadata_of("", "a", "1") == Metadata("a", "1")


def test_the_body_is_no_field() -> None:
    assert headers("Name: a\n\nName: b\n") == {"name": ["a"]}


def test_tags_and_installer(tmp_path: Path) -> None:
    assert (read_tags(str(tmp_path)), read_installer(str(tmp_path))) == ((), None)
    (tmp_path / "WHEEL").write_text("Wheel-Version: 1.0\nTag: py2-none-any\nTag: py3-none-any\n")
    (tmp_path / "INSTALLER").write_text("uv\n")
    assert (read_tags(str(tmp_path)), read_installer(str(tmp_path))) == (("py2-none-any", "py3-none-any"), "uv")


@pytest.mark.parametrize(
    "data",
    [
        {"url": "https://h/a-1.whl", "archive_info": {"hashes": {"sha256": "0" * 64}}},
        {"url": "file:///src/verl", "dir_info": {"editable": True}},
        {"url": "file:///src/verl", "dir_info": {}},
        {"url": "https://h/r.git", "vcs_info": {"vcs": "git", "commit_id": "0" * 40}},
    ],
)
def test_origins_are_those_that_packaging_reads(tmp_path: Path, data: dict[str, object]) -> None:
    (tmp_path / "direct_url.json").write_text(json.dumps(data))
    stated = DirectUrl.from_dict(data)

    found = read_origin(str(tmp_path))

    assert found is not None
    assert (found.url, found.editable) == (stated.url, bool(stated.dir_info and stated.dir_info.editable))


def test_an_origin_that_cannot_be_read_is_one(tmp_path: Path) -> None:
    assert read_origin(str(tmp_path)) is None
    for text in ("{", "[]", '{"url": "u", "dir_info": null}', "{}"):
        (tmp_path / "direct_url.json").write_text(text)
        found = read_origin(str(tmp_path))
        assert found is not None
        assert not found.readable
