"""Writes the pages of the documentation for every check: ``python -m verl_env.doctor.docs [--check] [DIR]``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.doctor.checks import CHECKS
from verl_env.doctor.facts import Facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.doctor.check import Check

DIRECTORY = Path("docs/doctor")

_HEAD = """# What the doctor finds

`verl-env doctor` looks at an environment from outside and imports nothing of it; `--report FILE` diagnoses what a file
describes. Each finding has a stable id and a page here. These pages are generated from the checks.

{checks} checks cover {modes} failure modes.
"""


def pages() -> dict[str, str]:
    """File name to text of every page."""
    found = {f"{check.id}.md": page(check) for check in CHECKS}
    found["README.md"] = index()
    return found


def index() -> str:
    """The list of all checks by theme."""
    modes = {mode for check in CHECKS for mode in check.covers}
    lines = [_HEAD.format(checks=len(CHECKS), modes=len(modes))]
    for theme in dict.fromkeys(check.theme for check in CHECKS):
        lines += [f"## {theme}", "", "| id | severity | what |", "|---|---|---|"]
        lines += [
            f"| [{check.id}]({check.id}.md) | {check.severity} | {check.title} |"
            for check in CHECKS
            if check.theme == theme
        ]
        lines.append("")
    return "\n".join(lines)


def page(check: Check) -> str:
    """The page of one check; its remedy is worded for an environment of which nothing is known."""
    remedy = check.remedy(Facts()) if callable(check.remedy) else check.remedy
    lines = [f"# {check.id}", "", f"{check.title}.", "", f"Severity: {check.severity}. Theme: {check.theme}.", ""]
    lines += ["## Cause", "", check.cause, "", "## Remedy", "", remedy.text]
    lines += ["", "```sh", *remedy.commands, "```"] if remedy.commands else []
    looks = ["facts of the environment"] if check.find else []
    looks += ["one error text" if len(check.log) == 1 else f"{len(check.log)} error texts"] if check.log else []
    lines += ["", "## Found by", "", f"It is found by {' and '.join(looks)}."]
    if check.explains:
        names = ", ".join(f"`{name}`" for name in check.explains)
        lines += ["", "## Consequences", "", f"Where both are there, it explains {names}."]
    lines += ["", f"## Sources, read {check.read}", "", *(f"- {source}" for source in check.sources)]
    lines += [f"- failure modes {', '.join(check.covers)}"] if check.covers else []
    return "\n".join(lines) + "\n"


def stale(directory: Path) -> list[str]:
    """Names of pages that differ from what is in a directory, and of files there that are no page."""
    wanted = pages()
    there = {path.name: path.read_text(encoding="utf-8") for path in directory.glob("*.md")}
    return sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))


def main(arguments: Sequence[str]) -> int:
    """Writes the pages, or says which are stale."""
    directory = Path(next((word for word in arguments if not word.startswith("-")), DIRECTORY))
    old = stale(directory)
    if "--check" in arguments:
        print("\n".join(f"stale: {directory / name}" for name in old))
        return 1 if old else 0
    directory.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    for name in old:
        if name in wanted:
            (directory / name).write_text(wanted[name], encoding="utf-8")
        else:
            (directory / name).unlink()
    print(f"{len(wanted)} pages in {directory}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
