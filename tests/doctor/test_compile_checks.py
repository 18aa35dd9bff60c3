"""The compiled checks are what their tables give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.doctor import compile_checks
from verl_env.doctor.compile_checks import compiled_text, rows, stale, tables, write_compiled

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_checks_in_this_checkout_are_compiled() -> None:
    assert not stale(), "run: python -m verl_env.doctor.compile_checks"


def test_nothing_but_the_lines_of_tests_is_left_out() -> None:
    assert [*rows()] == [*tables()]
    for name, row in tables().items():
        assert rows()[name] == {key: value for key, value in row.items() if key not in {"says", "silent"}}


def test_every_file_of_a_theme_is_read() -> None:
    files = {file.stem for file in compile_checks.FOLDER.glob("*.toml")}
    assert files == set(compile_checks.THEMES)
    assert {file.stem for file in (compile_checks.FOLDER / "families").glob("*.toml")} <= files


def test_no_two_tables_have_one_name() -> None:
    headings = [
        line.strip()
        for file in compile_checks.FOLDER.rglob("*.toml")
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.startswith("[") and line.strip().endswith("]")
    ]
    assert len(headings) == len(set(headings)) == len(rows())


def test_what_differs_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "checks.json"
    monkeypatch.setattr(compile_checks, "FILE", file)
    assert stale()
    write_compiled()
    assert file.read_text(encoding="utf-8") == compiled_text()
    file.write_text("{}")
    assert stale()
    write_compiled()
    assert not stale()
    assert [*tmp_path.iterdir()] == [file]
