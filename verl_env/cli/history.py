"""``verl-env history``: what was done to an environment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.cli.console import print_json, stdout_console
from verl_env.errors import EXIT_OK

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from verl_env.environment.history import Entry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env history``."""
    parser.add_argument("--into", metavar="DIR", type=Path, default=Path(".venv"), help="the environment (.venv)")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("-v", "--verbose", action="store_true", help="show every package that changed")


def main(args: argparse.Namespace) -> int:
    """Shows the changes, the oldest first.

    Raises:
        EnvironmentForeignError: there is no environment.
    """
    from verl_env.environment.change import changeable

    target = changeable(args.into)
    entries, previous = target.entries(), target.previous()
    if args.json:
        last = len(entries) - 1
        changes = [{**each.to_json(), "current": number == last} for number, each in enumerate(entries)]
        print_json({"schema": 1, "changes": changes, "rollback": previous})
        return EXIT_OK
    console = stdout_console()
    if not entries:
        console.print(f"no change of {target.path} is written down", markup=False, highlight=False)
    for entry in entries:
        _show(entry, verbose=args.verbose)
    if previous is not None:
        into = [] if args.into == Path(".venv") else ["--into", str(args.into)]
        words = " ".join(["verl-env", "rollback", *into])
        console.print(f"generation {previous} is kept; back to it: {words}", markup=False, highlight=False)
    return EXIT_OK


def summary(packages: Sequence[Mapping[str, str | None]]) -> str:
    """How many packages were added, removed and changed: ``+3 -1 ~12``."""
    kinds = [each["kind"] for each in packages]
    counts = [f"{kind}{kinds.count(kind)}" for kind in "+-~" if kind in kinds]
    return " ".join(counts) or "no package changed"


def _show(entry: Entry, *, verbose: bool) -> None:
    console = stdout_console()
    locksets = [each for each in dict.fromkeys([entry.before, entry.after]) if each is not None]
    line = f"{entry.when}  {entry.generation}  {entry.command}  ({summary(entry.packages)}; {entry.who})"
    console.print(line, markup=False, highlight=False, soft_wrap=True)
    if len(locksets) > 1:
        console.print(f"  {' -> '.join(locksets)}", markup=False, highlight=False, soft_wrap=True)
    for each in entry.packages if verbose else ():
        versions = " -> ".join(text for text in (each["old"], each["new"]) if text is not None)
        console.print(f"  {each['kind']} {each['name']} {versions}", markup=False, highlight=False)
