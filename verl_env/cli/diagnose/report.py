"""``verl-env report``: writes the file that ``verl-env doctor --report`` reads, for bug reports."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.cli.options import add_machine_arguments, machine_from
from verl_env.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env report``."""
    parser.add_argument("--into", metavar="DIR", help="the environment (default: the active one, else .venv)")
    parser.add_argument("--redact", action="store_true", help="take out names, hosts, private paths, device ids")
    parser.add_argument("-o", "--output", metavar="FILE", help="write it there instead of to stdout")
    add_machine_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Writes the report.

    Raises:
        NoEnvironmentError: there is no environment.
        UsageError: the file cannot be written.
    """
    from verl_env.cli.diagnose.doctor import environment_of
    from verl_env.doctor.gather import gather
    from verl_env.doctor.reporting import report_of

    facts = gather(environment_of(args.into), dict(os.environ), machine_from(args))
    text = json.dumps(report_of(facts, hide=args.redact), indent=2)
    if args.output is None:
        print(text)
        return EXIT_OK
    try:
        Path(args.output).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{args.output} cannot be written ({error.strerror})", command="verl-env report --help"
        ) from error
    return EXIT_OK
