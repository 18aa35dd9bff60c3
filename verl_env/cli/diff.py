"""``verl-env diff``: two locksets, or a lockset and an environment, package by package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.cli.console import print_json, stdout_console
from verl_env.errors import EXIT_NO, EXIT_OK

if TYPE_CHECKING:
    import argparse

    from rich.console import Console

    from verl_env.install.diff import Comparison, Side

HEADINGS = {"engines": "engines and their kernels", "torch": "torch", "cuda": "CUDA and ROCm", "others": "others"}

_MEANING = (
    "+ is only in B, - only in A, ~ in both but not the same. "
    "Exit code: 0 where they are equal, 1 where they differ, 2 for wrong use."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env diff``."""
    parser.description = f"{parser.description} {_MEANING}"
    what = "a lockset (its id, or an end of it that no other has) or the directory of an environment"
    parser.add_argument("first", metavar="A", help=what)
    parser.add_argument("second", metavar="B", help="the same")
    parser.add_argument("--python", metavar="V", help="the Python of the locksets, such as 3.10")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def main(args: argparse.Namespace) -> int:
    """Prints what differs; exit code 0 where nothing does and 1 where something does, as ``diff``.

    Raises:
        VerlEnvError: one of the two is neither a lockset nor an environment, or cannot be read.
    """
    from verl_env.cli.options import python_from
    from verl_env.install.diff import compare
    from verl_env.install.sides import read_sides
    from verl_env.locksets.catalogue import load_catalogue

    python = python_from(args.python, command="verl-env diff --help")
    found = compare(*read_sides(args.first, args.second, load_catalogue(), python))
    if args.json:
        print_json(to_json(found))
    else:
        render(stdout_console(), found)
    return EXIT_NO if found.changes else EXIT_OK


def to_json(found: Comparison) -> dict[str, object]:
    """The document of ``--json``."""
    return {
        "schema": 1,
        "equal": not found.changes,
        "a": _side_json(found.left),
        "b": _side_json(found.right),
        "identical": found.same,
        "differences": [
            {"kind": change.kind, "group": group, "name": change.name, "old": change.old, "new": change.new}
            for group, changes in found.groups.items()
            for change in changes
        ],
    }


def render(console: Console, found: Comparison) -> None:
    """Prints both names, the differences under a heading for each group, and how much is the same."""
    from verl_env.cli.console import say
    from verl_env.cli.render.install import STYLES, change_text

    for sign, side in (("-", found.left), ("+", found.right)):
        say(console, f"{sign * 3} {side.name} (Python {side.python}, {len(side.items)} packages)", style="bold")
    for group, changes in found.groups.items():
        say(console, HEADINGS[group], style="bold")
        for change in changes:
            say(console, f"  {change_text(change)}", style=STYLES[change.kind])
    counts = [(sum(change.kind == kind for change in found.changes), word) for kind, word in _WORDS.items()]
    say(console, ", ".join(f"{count} {word}" for count, word in [(found.same, "identical"), *counts]))


_WORDS = {"~": "changed", "+": "only in B", "-": "only in A"}


def _side_json(side: Side) -> dict[str, object]:
    return {"kind": side.kind, "name": side.name, "python": side.python, "packages": len(side.items)}
