"""The parser of the command line; the modules of the commands that it is for are imported with it."""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from verl_env import __version__
from verl_env.cli.commands import COMMANDS, PROGRAM, module_of
from verl_env.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

# argparse asks gettext for the translation of each of its words, which are parts of sentences of ours: for that it
# looks for files in several folders and loads locale, a tenth of a start.
vars(argparse).update(_=str, ngettext=lambda one, many, count: one if count == 1 else many)

#: Columns of the help where no terminal says how many it has.
WIDTH = 100


class Formatter(argparse.HelpFormatter):
    """Help as wide as the terminal; asking for the width here spares every start the import of shutil."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=_columns() - 2)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Examples stay as they are: a command line that was wrapped would be another one."""
        return text if text.startswith("examples:") else super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are errors of verl-env, with an id and a hint."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"formatter_class": Formatter, **kwargs})

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, command=f"{self.prog} --help")

    def format_help(self) -> str:
        """The help, with the examples of its command."""
        from verl_env.cli.examples import examples_of

        self.epilog = examples_of(self.prog.removeprefix(f"{PROGRAM} "))
        return super().format_help()


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
            module = importlib.import_module(module_of(name))
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
