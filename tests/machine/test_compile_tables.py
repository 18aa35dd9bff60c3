"""The JSON beside the hardware tables is what their TOML gives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from verl_env.constraints import parse_toml
from verl_env.machine.compile_tables import compiled_text, stale, write_compiled
from verl_env.machine.tables import DATA

TOML = """schema = 1
[sources]
A = "a page"
[[card]]
name = "é 1"
sm = ["9.0"]
src = ["A"]
[[card]]
name = "2"
mig = true
src = ["A"]
[[driver]]
branch = 550
src = ["A"]
"""
ROWS = {
    "card": [{"name": "é 1", "sm": ["9.0"], "src": ["A"]}, {"name": "2", "mig": True, "src": ["A"]}],
    "driver": [{"branch": 550, "src": ["A"]}],
    "sources": {"A": "a page"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cards.toml").write_text(TOML, encoding="utf-8")
    return tmp_path


def test_the_tables_in_this_checkout_are_compiled() -> None:
    assert stale() == (), "run: python -m verl_env.machine.compile_tables"


@pytest.mark.parametrize("file", sorted(Path(DATA).glob("*.toml")), ids=lambda file: file.stem)
def test_the_compiled_rows_are_those_of_the_toml(file: Path) -> None:
    rows = {name: table for name, table in parse_toml(file).items() if name != "schema"}
    assert json.loads(file.with_suffix(".json").read_text(encoding="utf-8")) == rows
    assert rows


def test_rows_are_compiled_one_to_a_line(folder: Path) -> None:
    text = compiled_text(folder / "cards.toml")
    assert json.loads(text) == ROWS
    assert sum(line.startswith("{") and line.rstrip(",").endswith("}") for line in text.splitlines()) == 3


def test_what_is_missing_is_made_once(folder: Path) -> None:
    assert stale(folder) == ("cards.json",)
    write_compiled(folder)
    assert json.loads((folder / "cards.json").read_text(encoding="utf-8")) == ROWS
    assert stale(folder) == ()
    assert sorted(file.name for file in folder.iterdir()) == ["cards.json", "cards.toml"]


def test_what_differs_is_made_again_and_what_has_no_toml_goes(folder: Path) -> None:
    write_compiled(folder)
    (folder / "cards.toml").write_text(TOML.replace("550", "570"), encoding="utf-8")
    (folder / "gone.json").write_text("{}")
    assert stale(folder) == ("cards.json", "gone.json")
    write_compiled(folder)
    assert '"branch": 570' in (folder / "cards.json").read_text(encoding="utf-8")
    assert stale(folder) == ()


def test_toml_that_is_broken_is_told(folder: Path) -> None:
    (folder / "cards.toml").write_text("[[card]\n")
    with pytest.raises(ValueError, match=r"line 1|at line"):
        stale(folder)


def test_reading_the_tables_loads_no_parser_of_toml() -> None:
    code = (
        "import sys; from verl_env.machine import tables, wheel_tables; tables.nvidia_pci_ids(); tables.toolkits();"
        "wheel_tables.torch_wheels(); from verl_env.machine import describe, model;"
        "describe.describe(model.Machine(), gpus=['h100:8'], driver='550.54.15'); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"tomllib", "tomli", "typing", "pathlib", "urllib.parse", "verl_env.constraints"}
