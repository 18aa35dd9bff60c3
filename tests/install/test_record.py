from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.install.record import format_record, read_record, relative_to_environment

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


text = st.text(st.characters(codec="utf-8", exclude_characters="\r\0", exclude_categories=["Cs"]), min_size=1)


@given(st.lists(st.tuples(text, st.just("sha256=x"), st.just("1")).map(list)))
def test_what_is_written_is_read_again(tmp_path_factory, rows):
    folder = tmp_path_factory.getbasetemp()
    (folder / "RECORD").write_text(format_record(rows), encoding="utf-8", newline="")
    assert read_record(str(folder)) == rows
