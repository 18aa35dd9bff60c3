"""``verl-env probe``: the facts of this machine, each with its source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.cli.console import print_json, stderr_console, stdout_console
from verl_env.errors import EXIT_OK, UsageError
from verl_env.machine.probe import probe

if TYPE_CHECKING:
    import argparse

    from verl_env.machine.model import Machine


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env probe``."""
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="record it, for --machine FILE elsewhere")


def main(args: argparse.Namespace) -> int:
    """Probes, and prints or records what was found."""
    machine = probe()
    if args.output is not None:
        _record(machine, args.output)
    if args.json:
        from verl_env.machine.record import machine_to_json

        print_json(machine_to_json(machine))
    elif args.output is None:
        from verl_env.cli.render_machine import render_machine

        render_machine(stdout_console(), machine)
    return EXIT_OK


def _record(machine: Machine, path: Path) -> None:
    from verl_env.machine.record import machine_to_json

    text = json.dumps(machine_to_json(machine), indent=2) + "\n"
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", command="verl-env probe --help") from error
    stderr_console().print(f"recorded; use it with: verl-env plan --stack vllm --machine {path}", markup=False)
