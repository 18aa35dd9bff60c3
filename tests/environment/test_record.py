import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.environment.record import read_record, relative_to_environment, update_record

SITE = Path("/e/lib/python3.10/site-packages")


@pytest.mark.parametrize(
    ("path", "relative"),
    [
        ("six.py", "lib/python3.10/site-packages/six.py"),
        ("a/b.py", "lib/python3.10/site-packages/a/b.py"),
        ("../../../bin/ray", "bin/ray"),
        ("../../../share/man/man1/x.1", "share/man/man1/x.1"),
        ("/e/bin/ray", "bin/ray"),
        ("../../../../etc/passwd", None),
        ("/etc/passwd", None),
        ("../../..", None),
    ],
)
def test_paths_of_a_record_stay_in_the_environment(path, relative):
    assert relative_to_environment(path, SITE, Path("/e")) == relative


def test_a_record_without_a_file_is_none(tmp_path):
    assert read_record(str(tmp_path)) is None


@pytest.mark.parametrize("content", [b"\xff\xfe,,", b'"open'])
def test_any_bytes_can_be_read(tmp_path, content):
    (tmp_path / "RECORD").write_bytes(content)
    assert read_record(str(tmp_path)) in (None, [["open"]])


def facts_of(path):
    return ("sha256=new", 7) if path.endswith("/ray") or "," in path else None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("../../../bin/ray,sha256=old,1\n", "../../../bin/ray,sha256=new,7\n"),
        ("six.py,sha256=x,1\r\n../../../bin/ray,,\n", "six.py,sha256=x,1\r\n../../../bin/ray,sha256=new,7\n"),
        ('"../../../bin/a,b",sha256=old,1\n', '"../../../bin/a,b",sha256=new,7\n'),
        ("../../../bin/other,sha256=old,1\n", None),
        ("ray/ray,sha256=old,1\n", None),
        ("", None),
    ],
)
def test_only_what_changed_is_brought_up_to_date(tmp_path, before, after):
    (tmp_path / "RECORD").write_bytes(before.encode())
    assert update_record(str(tmp_path), facts_of) == (None if after is None else after.encode())


def test_no_record_needs_no_update(tmp_path):
    assert update_record(str(tmp_path), facts_of) is None


lines = st.lists(st.binary(max_size=30).filter(lambda line: not line.startswith((b"..", b'"..'))))


@given(lines)
def test_every_other_byte_stays(tmp_path_factory, lines):
    folder = tmp_path_factory.getbasetemp()
    before = b"\n".join(lines)
    (folder / "RECORD").write_bytes(b"../../../bin/ray,,\n" + before)
    assert update_record(str(folder), facts_of) == b"../../../bin/ray,sha256=new,7\n" + before


@pytest.mark.parametrize(
    "path",
    [
        "a.py",
        "a/b.py",
        "a/.b",
        ".a",
        "./a",
        "../a",
        "a/../b",
        "a//b",
        "a/",
        "",
        "/x/y",
        "../../../bin/ray",
        "../../../../out",
        "a..b",
    ],
)
def test_the_short_way_to_a_place_gives_what_the_long_one_does(path):
    environment, site = Path("/env"), Path("/env/lib/python3.10/site-packages")
    full = os.path.normpath(os.path.join(site, path))  # noqa: PTH118
    expected = full[5:] if full.startswith("/env/") else None
    assert relative_to_environment(path, site, environment) == expected
