"""components.json: the same bytes from the same files, written only when all of them can be read."""

from __future__ import annotations

import pytest

from tests.components import samples
from verl_env.components.compile import compiled_text, stale, write_compiled
from verl_env.components.errors import ComponentInvalidError


def test_the_same_files_give_the_same_text(tmp_path):
    first = compiled_text(samples.write(tmp_path / "a"))
    assert first == compiled_text(samples.write(tmp_path / "b"))
    assert first.count("\n") == 5  # head, one line a file, foot


def test_writing_makes_it_fresh(tmp_path):
    samples.write(tmp_path)
    assert stale(tmp_path)
    write_compiled(tmp_path)
    assert not stale(tmp_path)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("changes", [{"plain": samples.PLAIN + "# more\n"}, {"another": samples.PLAIN}])
def test_an_edit_and_a_new_file_make_it_stale(tmp_path, changes):
    samples.write(tmp_path, compiled=True)
    samples.write(tmp_path, **changes)
    assert stale(tmp_path)


def test_a_file_that_is_gone_makes_it_stale(tmp_path):
    samples.write(tmp_path, compiled=True)
    (tmp_path / "components" / "plain.toml").unlink()
    assert stale(tmp_path)


def test_a_folder_with_neither_is_whole(tmp_path):
    assert not stale(tmp_path)


@pytest.mark.parametrize("text", ["schema = 1\nname = 'plain'", "schema = 1\nname = 'other'\nreleases = []", "= 1"])
def test_nothing_is_written_of_a_broken_file(tmp_path, text):
    samples.write(tmp_path, plain=text)
    with pytest.raises(ComponentInvalidError):
        write_compiled(tmp_path)
    assert not (tmp_path / "components.json").exists()


def test_what_is_no_toml_is_named(tmp_path):
    samples.write(tmp_path, plain="= 1")
    with pytest.raises(ComponentInvalidError) as caught:
        compiled_text(tmp_path)
    assert caught.value.file == tmp_path / "components" / "plain.toml"
