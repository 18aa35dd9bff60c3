"""``verl-env plan``: what would be installed, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.cli.console import print_json
from verl_env.cli.options import add_choice_arguments, add_machine_arguments, machine_from, request_from
from verl_env.errors import EXIT_NO, EXIT_OK

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env plan``."""
    add_choice_arguments(parser)
    add_machine_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--explain", action="store_true", help="every lockset that was refused, and each reason")
