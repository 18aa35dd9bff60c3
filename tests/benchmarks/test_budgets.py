"""The verdict of ``make budgets`` on figures that are given; counting them takes valgrind and one exact CPython."""

from __future__ import annotations

import importlib
import json
import platform
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
BUDGETS = {"hook": 400_000, "plan": 300_000_000, "start-up": 100_000_000}


@pytest.fixture
def budgets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    module = importlib.import_module("budgets")
    monkeypatch.setattr(sys, "argv", ["budgets.py"])
    yield module
    for name in ("budgets", "parts", "measure"):
        sys.modules.pop(name, None)


def told(budgets: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **found: int) -> int:
    """What ``make budgets`` leaves with where it counts ``found``."""
    file = tmp_path / "budgets.json"
    file.write_text(json.dumps({platform.python_version(): BUDGETS}))
    monkeypatch.setattr(budgets, "BUDGETS", file)
    monkeypatch.setattr(budgets, "counts", lambda _: {**BUDGETS, **found})
    monkeypatch.setattr(budgets.shutil, "which", lambda _: "/usr/bin/valgrind")
    return int(budgets.main())


@pytest.mark.parametrize("name", BUDGETS)
def test_five_percent_and_no_more(
    name: str, budgets: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    most = BUDGETS[name] * 105 // 100
    assert told(budgets, monkeypatch, tmp_path, **{name: most}) == 0
    assert "OVER" not in capsys.readouterr().out
    assert told(budgets, monkeypatch, tmp_path, **{name: most + 1}) == 1
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "OVER" in line)
    assert line.startswith(name)
    assert "+5.0%" in line


def test_what_has_no_budget_or_was_not_counted_is_over(budgets: Any) -> None:
    assert budgets.compared({**BUDGETS, "probe": 1}, BUDGETS)[1] == 1
    assert budgets.compared({"hook": 1}, BUDGETS)[1] == 1


def test_another_python_compares_nothing_and_says_so(
    budgets: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(budgets.platform, "python_version", lambda: "3.99.0")
    (tmp_path / "budgets.json").write_text(json.dumps({"3.11.7": BUDGETS}))
    monkeypatch.setattr(budgets, "BUDGETS", tmp_path / "budgets.json")
    monkeypatch.setattr(budgets, "counts", lambda _: pytest.fail("counted"))
    assert budgets.main() == 2
    error = capsys.readouterr().err
    assert "nothing was compared: budgets are of CPython 3.11.7, and this is 3.99.0" in error


def test_without_valgrind_nothing_is_compared(
    budgets: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(budgets.platform, "python_version", lambda: next(iter(json.loads(budgets.BUDGETS.read_text()))))
    monkeypatch.setattr(budgets.shutil, "which", lambda _: None)
    assert budgets.main() == 2
    assert "apt install valgrind" in capsys.readouterr().err


def test_ci_counts_with_a_python_that_has_budgets() -> None:
    workflow = (ROOT / ".github" / "workflows" / "check.yml").read_text()
    job = workflow.partition("\n  budgets:\n")[2].partition("\n\n")[0]
    python = re.search(r'python-version: "([\d.]+)"', job)
    assert python is not None
    assert python[1] in json.loads((ROOT / "benchmarks" / "budgets.json").read_text())
    assert "install --yes valgrind" in job
