"""``verl-env completion``: a completion script for bash, zsh, fish or tcsh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.errors import EXIT_OK

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env completion``."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish", "tcsh"), help="the shell to print a script for")


def main(args: argparse.Namespace) -> int:
    """Prints the script."""
    import shtab

    from verl_env.cli.parser import build_parser

    print(shtab.complete(build_parser(), shell=args.shell))
    return EXIT_OK
