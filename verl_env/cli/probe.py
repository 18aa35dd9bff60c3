"""``verl-env probe``: the facts of this machine, each with its source."""

from __future__ import annotations

from verl_env.errors import EXIT_OK, UsageError
from verl_env.machine.nvidia.nvml import fork_nvml

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from verl_env.machine.model import Machine


def direct(argv: Sequence[str]) -> int | None:
    """Runs ``verl-env probe --json``, which schedulers and scripts call, without a parser; None for anything else."""
    if list(argv) != ["probe", "--json"]:
        return None
    _print(_probe())
    return EXIT_OK


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env probe``."""
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("-o", "--output", metavar="FILE", help="record it, for --machine FILE elsewhere")


def main(args: argparse.Namespace) -> int:
    """Probes, and prints or records what was found."""
    machine = _probe()
    if args.output is not None:
        _record(machine, args.output)
    if args.json:
        _print(machine)
    elif args.output is None:
        from verl_env.cli.console import stdout_console
        from verl_env.cli.render.machine import render_machine

        render_machine(stdout_console(), machine)
    return EXIT_OK


def _probe() -> Machine:
    """The machine; NVML is asked first, while the rest of the probe is being loaded."""
    forked = fork_nvml()
    try:
        from verl_env.machine.probe import probe

        return probe(forked=forked)
    finally:
        if forked is not None:
            forked.close()


def _print(machine: Machine) -> None:
    import sys

    from verl_env.machine.record import machine_to_json

    if sys.stdout.isatty():
        from verl_env.cli.console import print_json

        print_json(machine_to_json(machine))
    else:
        from verl_env.machine.plain import dumps

        print(dumps(machine_to_json(machine)))


def _record(machine: Machine, path: str) -> None:
    import json

    from verl_env.cli.console import stderr_console
    from verl_env.command_line import command
    from verl_env.machine.record import machine_to_json

    text = json.dumps(machine_to_json(machine), indent=2) + "\n"
    try:
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", command="verl-env probe --help") from error
    use = command("plan", "--stack", "vllm", "--machine", path)
    stderr_console().print(f"recorded; use it with: {use}", markup=False)
