"""The entry point: finds the command, imports it alone, and words every error.

Exit codes: 0 done or healthy; 1 the answer is no; 2 wrong use or an internal fault; 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import TYPE_CHECKING

from verl_env import __version__
from verl_env.errors import EXIT_MISUSE, EXIT_OK, InternalFault, UsageError, VerlEnvError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

PROGRAM = "verl-env"

#: Every command with its line in the help; ``verl_env.cli.<name>`` holds it.
COMMANDS = {
    "probe": "show the facts of this machine, each with its source",
    "stacks": "list every lockset with the verdict for this machine",
    "plan": "show what would be installed, and why",
    "diff": "compare two locksets, or a lockset and an environment, package by package",
    "install": "make or repair an environment",
    "doctor": "diagnose an environment",
    "report": "write down an environment and its machine, for doctor --report",
    "patches": "the run-time patches of an environment",
    "lock": "regenerate locksets from their recipes (maintainers)",
    "completion": "print a completion script for a shell",
}

EXIT_INTERRUPTED = 130
#: Columns of the help where no terminal says how many it has.
WIDTH = 100


class Formatter(argparse.HelpFormatter):
    """Help as wide as the terminal; asking for the width here spares every start the import of shutil."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=_columns() - 2)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are errors of verl-env, with an id and a hint."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"formatter_class": Formatter, **kwargs})

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, command=f"{self.prog} --help")


def run() -> NoReturn:
    """Runs the command line of this process and leaves with its exit code."""
    sys.exit(main(sys.argv[1:]))


def main(argv: Sequence[str]) -> int:
    """Runs one command line and returns its exit code; never raises for what a user can cause."""
    try:
        return _dispatch(argv)
    except VerlEnvError as error:
        return _fail(error, argv)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except Exception as error:  # noqa: BLE001  the last line of defence: no traceback reaches a user unasked
        return _fail(InternalFault(error), argv)


def build_parser(commands: Sequence[str] = tuple(COMMANDS)) -> Parser:
    """The parser of the given commands, whose modules are imported; of the names of all where none is given."""
    parser = Parser(PROGRAM, description="A working verl environment on bare metal, without Docker.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, line in COMMANDS.items():
        if commands and name not in commands:
            continue
        subparser = subparsers.add_parser(name, help=line, description=line[0].upper() + line[1:] + ".")
        if name in commands:
            module = importlib.import_module(f"verl_env.cli.{name}")
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.main)
    return parser


def _columns() -> int:
    """The width of the terminal, as ``COLUMNS`` or the terminal itself says."""
    try:
        return int(os.environ.get("COLUMNS", "")) or WIDTH
    except ValueError:
        pass
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or WIDTH if sys.__stdout__ else WIDTH
    except (OSError, ValueError):
        return WIDTH


def _dispatch(argv: Sequence[str]) -> int:
    named = next((word for word in argv if not word.startswith("-")), None)
    if named is not None and named not in COMMANDS:
        raise UnknownCommand(named)
    args = build_parser([named] if named else []).parse_args(argv)
    code: int = args.run(args)
    return code


def _fail(error: VerlEnvError, argv: Sequence[str]) -> int:
    from verl_env.cli.console import print_error, print_json

    if "--json" in argv:
        print_json({"schema": 1, "error": error.to_json()})
    print_error(error)
    return error.exit_code


class UnknownCommand(UsageError):
    """A first word that is no command; the hint names the nearest one."""

    id = "command-unknown"
    exit_code = EXIT_MISUSE

    def __init__(self, word: str) -> None:
        super().__init__(f"there is no command {word!r}", command=f"{PROGRAM} --help")
        self.word = word

    @property
    def hint(self) -> str:
        import difflib

        near = difflib.get_close_matches(self.word, COMMANDS, n=1)
        return f"did you mean: {PROGRAM} {near[0]}" if near else super().hint
