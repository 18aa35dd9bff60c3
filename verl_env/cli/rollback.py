"""``verl-env rollback``: back to what an environment was before its last change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.cli.console import print_json, stderr_console, stdout_console
from verl_env.errors import EXIT_OK

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env rollback``."""
    parser.add_argument("--into", metavar="DIR", type=Path, default=Path(".venv"), help="the environment (.venv)")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout: the change, as in history")


def main(args: argparse.Namespace) -> int:
    """Does it; a second time, the change is in force again.

    Raises:
        EnvironmentForeignError: there is no environment.
        NothingToRollBackError: nothing is kept to go back to.
    """
    from verl_env.cli.history import summary
    from verl_env.environment.change import changeable
    from verl_env.environment.rollback import rollback

    target = changeable(args.into)
    done = rollback(target, waiting=lambda text: stderr_console().print(text, markup=False))
    if args.json:
        print_json({"schema": 1, "path": str(target.path), "change": {**done.to_json(), "current": True}})
        return EXIT_OK
    text = f"{args.into} is generation {done.generation} again ({summary(done.packages)}); back: the same command"
    stdout_console().print(text, markup=False, highlight=False, soft_wrap=True)
    return EXIT_OK
