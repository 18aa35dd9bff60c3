"""``verl-env remove``: an environment that verl-env made goes, with what it keeps beside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.cli.console import confirmed, print_json, say, stderr_console, stdout_console
from verl_env.errors import EXIT_NO, EXIT_OK, UsageError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env remove``."""
    parser.add_argument("directory", metavar="DIR", type=Path, help="the environment; nothing else is removed")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--force", action="store_true", help="also where processes of this host run in it")
    parser.add_argument("--dry-run", action="store_true", help="say what would be removed, and what runs in it")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout; asks nothing, so takes --yes")


def main(args: argparse.Namespace) -> int:
    """Removes it, once that is confirmed.

    Raises:
        NotRemovableError: it is not one that verl-env made.
        EnvironmentInUseError: processes run in it.
        EnvironmentLockedError: another run changes it.
    """
    from verl_env.cli.list import process_json, show_process
    from verl_env.command_line import command
    from verl_env.environment.change import LOCK_SECONDS
    from verl_env.environment.errors import EnvironmentInUseError
    from verl_env.environment.remove import removable, remove
    from verl_env.environment.running import processes_in

    target = removable(args.directory)
    processes = processes_in(target)
    if processes and not (args.force or args.dry_run):
        raise EnvironmentInUseError(target.path, tuple(show_process(each) for each in processes))
    document = {"schema": 1, "path": str(target.path), "processes": [process_json(each) for each in processes]}
    if not args.dry_run:
        if not args.yes and (args.json or not sys.stdin.isatty()):
            raise UsageError("nobody can be asked here", command=command("remove", args.directory, "--yes"))
        if not args.yes and not confirmed(f"remove {target.path} and {target.store}?"):
            return EXIT_NO
        remove(target, waiting=lambda text: stderr_console().print(text, markup=False), seconds=LOCK_SECONDS)
    if args.json:
        print_json({**document, "removed": not args.dry_run})
        return EXIT_OK
    words = "would be removed, with" if args.dry_run else "is removed, with"
    console = stdout_console()
    say(console, f"{target.path} {words} {target.store}")
    for each in processes:
        say(console, f"  in use by {show_process(each)}")
    return EXIT_OK
