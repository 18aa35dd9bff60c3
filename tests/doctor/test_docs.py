"""The pages of the checks are those that the checks say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.each import each
from verl_env.doctor.checks import CHECKS
from verl_env.doctor.docs import main, page, pages, stale

IDS = {check.id for check in CHECKS}
PAGES = Path(__file__).parents[2] / "docs" / "doctor"


def test_every_check_has_a_page() -> None:
    assert set(pages()) == {*(f"{name}.md" for name in IDS), "README.md"}


def test_pages_in_the_repository_are_current() -> None:
    assert stale(PAGES) == []


def test_writing_and_checking(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old-check.md").write_text("gone")

    assert main(["--check", str(tmp_path)]) == 1
    assert main([str(tmp_path)]) == 0
    assert main(["--check", str(tmp_path)]) == 0
    assert not (tmp_path / "old-check.md").exists()
    assert "pages" in capsys.readouterr().out


@each("check", CHECKS, lambda check: check.id)
def test_a_check_says_what_it_must(check: object) -> None:
    text = page(check)  # type: ignore[arg-type]

    assert "## Cause" in text
    assert "## Remedy" in text
    assert check.sources  # type: ignore[attr-defined]
    assert check.find or check.log  # type: ignore[attr-defined]
    assert check.id == check.id.lower().replace("_", "-").replace(".", "-")  # type: ignore[attr-defined]
    assert not check.title.endswith(".")  # type: ignore[attr-defined]
    assert check.cause.endswith(".")  # type: ignore[attr-defined]


def test_ids_are_unique_and_links_lead_somewhere() -> None:
    deep = {"gpu-matmul", "gpu-all-reduce"}

    assert len(IDS) == len(CHECKS)
    assert {name for check in CHECKS for name in check.explains} <= IDS | deep


def test_enough_of_the_catalogue_is_covered() -> None:
    assert len({mode for check in CHECKS for mode in check.covers}) >= 110
