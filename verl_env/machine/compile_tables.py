"""The JSON beside the hardware tables, made from their TOML: ``python -m verl_env.machine.compile_tables`` writes it.

The JSON holds the rows, one on a line, and the sources last.
"""

from __future__ import annotations

import json
from pathlib import Path

from verl_env.constraints import parse_toml
from verl_env.machine.tables import DATA


def compiled_text(file: Path) -> str:
    """The text of the JSON for one TOML file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no TOML.
    """
    data = parse_toml(file)
    parts = [f"{json.dumps(name)}: {_lines(rows)}" for name, rows in data.items() if isinstance(rows, list)]
    parts.append(f'"sources": {json.dumps(data.get("sources", {}), ensure_ascii=False)}')
    return "{" + ",\n".join(parts) + "}\n"


def stale(folder: Path = Path(DATA)) -> tuple[str, ...]:
    """The names of the JSON files that are not what the TOML gives; those without TOML are among them."""
    wanted = {file.with_suffix(".json"): compiled_text(file) for file in folder.glob("*.toml")}
    made = {file: file.read_text(encoding="utf-8") for file in folder.glob("*.json")}
    return tuple(sorted(file.name for file in wanted.keys() | made.keys() if wanted.get(file) != made.get(file)))


def write_compiled(folder: Path = Path(DATA)) -> None:
    """Bring the JSON files of a folder up to date; for errors see ``compiled_text``."""
    for name in stale(folder):
        file = folder / name
        source = file.with_suffix(".toml")
        if not source.is_file():
            file.unlink()
            continue
        draft = folder / f".{name}.draft"
        draft.write_text(compiled_text(source), encoding="utf-8")
        draft.replace(file)


def _lines(rows: list[object]) -> str:
    return "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]"


if __name__ == "__main__":
    write_compiled()
