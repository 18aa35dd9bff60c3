"""The generated pages are what the code says, and every error is worded."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)


@pytest.mark.slow
def test_no_generated_page_is_stale(capsys):
    """All but one, of which ``test_coverage_page.py`` has the answers."""
    named = [name for name in build.PAGES if name != "coverage.md"]
    assert build.main(["--check", *named]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("error", sorted(build.error_classes(), key=lambda error: error.id), ids=lambda error: error.id)
def test_every_error_id_is_kebab_case_and_explained(error):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", error.id)
    assert error.__doc__
    assert error.exit_code in {1, 2, 126, 127, 130}


def test_error_ids_are_unique():
    ids = [error.id for error in build.error_classes()]
    assert len(ids) == len(set(ids))
