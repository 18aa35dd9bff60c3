"""``verl-env list``: the environments that verl-env made or changed, and what runs in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.cli.console import print_json, stdout_console
from verl_env.command_line import one_line
from verl_env.errors import EXIT_OK

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from verl_env.environment.known.listing import Listed
    from verl_env.environment.running import Process


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env list``."""
    parser.add_argument("--sizes", action="store_true", help="add up what each takes on the disk")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def main(args: argparse.Namespace) -> int:
    """Shows them, by path."""
    from verl_env.environment.known.listing import listed

    found = listed(sizes=args.sizes)
    if args.json:
        print_json({"schema": 1, "environments": [_json(each) for each in found]})
        return EXIT_OK
    console = stdout_console()
    if not found:
        console.print("no environment is known; make one: verl-env install --stack vllm", markup=False)
    for each in found:
        console.print(one_line(str(each.path)), style="bold", markup=False)
        for line in _lines(each):
            console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    return EXIT_OK


def show_process(process: Process) -> str:
    """A process in one line."""
    return one_line(f"{process.pid} ({process.user}): {process.command}")


def process_json(process: Process) -> dict[str, Any]:
    """A process as documents have it."""
    return {"pid": process.pid, "user": process.user, "command": process.command}


def _json(each: Listed) -> dict[str, Any]:
    return {
        "path": str(each.path),
        "kind": each.kind,
        "host": each.host,
        "lockset": each.state and each.state.lockset,
        "stack": each.state and each.state.stack,
        "python": each.state and each.state.python,
        "made": each.state and each.state.made,
        "left_out": sorted(each.state.left_out) if each.state else [],
        "generation": each.generation,
        "bytes": each.bytes,
        "processes": [process_json(process) for process in each.processes],
    }


def _lines(each: Listed) -> list[str]:
    """What is to be said of one, in words."""
    from verl_env.environment.known.listing import WORDS
    from verl_env.sizes import human

    state = each.state
    lines = [WORDS[each.kind].format(host=each.host)] if each.kind in WORDS else []
    if state is not None:
        without = f", without {', '.join(sorted(state.left_out))}" if state.left_out else ""
        lines.append(f"{state.lockset}, Python {state.python}{without}")
        lines.append(f"made {state.made}, generation {each.generation}")
    if each.bytes is not None:
        lines.append(f"{human(each.bytes)} on the disk")
    return lines + [f"in use by {show_process(process)}" for process in each.processes]
