"""The tables of checks in one file that is fast to read: ``python -m verl_env.doctor.compile_checks`` writes it.

``checks/<theme>.toml`` holds the checks that name one failure, ``checks/families/`` those that speak of a kind of
failures. Reading the JSON takes a hundredth of the time.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verl_env.constraints import parse_toml

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).parent / "checks"
FILE = FOLDER / "checks.json"
#: The themes in the order in which they are asked and shown.
THEMES = (
    *("abi", "cuda", "loader", "dependencies", "coupling", "toolchain", "filesystems"),
    *("ray-slurm", "gpu", "rocm", "other"),
)
_FAMILY = 2
_FOR_TESTS = {"says", "silent"}


@functools.cache
def rows() -> Mapping[str, Mapping[str, Any]]:
    """The table of every check by its id, in the order in which they are asked."""
    found: Mapping[str, Mapping[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def tables() -> dict[str, dict[str, Any]]:
    """The same from the TOML, with the lines that tests read.

    Raises:
        OSError: a file cannot be read.
        ValueError: it is no TOML.
    """
    found: dict[str, dict[str, Any]] = {}
    for theme in THEMES:
        rows = parse_toml(FOLDER / f"{theme}.toml")
        found |= {name: {"theme": theme, **row} for name, row in rows.items()}
    for file in sorted((FOLDER / "families").glob("*.toml")):
        common = {"theme": file.stem, "general": True, "turn": _FAMILY, "late": 0}
        found |= {name: {**common, **row} for name, row in parse_toml(file).items()}
    return dict(sorted(found.items(), key=lambda item: item[1].get("turn", 0)))


def compiled_text() -> str:
    """The text of the compiled file; for errors see ``tables``."""
    told = {name: {key: row[key] for key in row if key not in _FOR_TESTS} for name, row in tables().items()}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(row, ensure_ascii=False)}" for name, row in told.items())
    return f"{{\n{lines}\n}}\n"


def stale() -> bool:
    """Whether the compiled file is not what the tables give."""
    return not FILE.is_file() or FILE.read_text(encoding="utf-8") != compiled_text()


def write_compiled() -> None:
    """Brings the compiled file up to date; for errors see ``compiled_text``."""
    if stale():
        draft = FILE.with_suffix(".draft")
        draft.write_text(compiled_text(), encoding="utf-8")
        draft.replace(FILE)


if __name__ == "__main__":
    write_compiled()
