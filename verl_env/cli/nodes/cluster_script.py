"""``verl-env cluster script``: the script of a job on many nodes."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.cluster.script.schedulers import NAMES
from verl_env.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    from verl_env.cluster.script.write import ScriptJob

_COMMAND = "verl-env cluster script --help"
#: Flags that become a directive of the scheduler, if it is given.
_OPTIONS = ("time", "partition", "account", "name")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env cluster script``."""
    parser.add_argument("--nodes", metavar="N", type=int, required=True, help="how many nodes")
    parser.add_argument("--gpus-per-node", metavar="G", type=int, default=8, help="GPUs of each (8; 0 for none)")
    parser.add_argument(
        "--cpus-per-task", metavar="C", type=int, help="CPUs of each node (default: what the site gives)"
    )
    parser.add_argument(
        "--for", dest="kind", choices=("ray", "torchrun"), default="ray", help="what starts the command"
    )
    parser.add_argument("--into", metavar="ENV", help="the environment (default: the active one, else .venv)")
    parser.add_argument("--time", metavar="T", help="the time limit, as the scheduler writes it")
    parser.add_argument("--partition", metavar="P", help="the partition or queue")
    parser.add_argument("--account", metavar="A", help="the account or project")
    parser.add_argument("--name", metavar="NAME", help="the name of the job")
    parser.add_argument(
        "--directive", metavar="OPT", action="append", default=[], help="one more directive (repeatable)"
    )
    parser.add_argument("--interface", metavar="IF", default="", help="the network interface of Ray, such as ib0")
    parser.add_argument("--scheduler", choices=NAMES, default="slurm", help="slurm; the others are untested")
    parser.add_argument("--no-preflight", action="store_true", help="do not run cluster doctor first")
    parser.add_argument("--interactive", action="store_true", help="for salloc: a shell on the head node once Ray runs")
    parser.add_argument("-o", "--output", metavar="FILE", help="write it there, not to stdout")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND ...", help="what runs")


def main(args: argparse.Namespace) -> int:
    """Writes the script.

    Raises:
        UsageError: what is asked for makes no script, or the file cannot be written.
    """
    from verl_env.cluster.script.write import write

    job = _job(args)
    text = write(job, file=args.output or "job.sh")
    if args.output is None:
        print(text, end="")
        return EXIT_OK
    try:
        Path(args.output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{args.output} cannot be written: {error.strerror}", command=_COMMAND) from error
    from verl_env.cli.console import stderr_console
    from verl_env.cluster.script.schedulers import scheduler

    stderr_console().print(f"start it with: {scheduler(job.scheduler).submit.format(file=args.output)}", markup=False)
    return EXIT_OK


def _job(args: argparse.Namespace) -> ScriptJob:
    from verl_env.cli.diagnose.doctor import environment_of
    from verl_env.cluster.script.write import ScriptJob
    from verl_env.environment.state import read_state

    command = _words(args)
    _check(args)
    environment = environment_of(args.into)
    state = read_state(environment)
    return ScriptJob(
        kind=args.kind,
        nodes=args.nodes,
        gpus=args.gpus_per_node,
        command=command,
        environment=environment,
        scheduler=args.scheduler,
        cpus=args.cpus_per_task,
        options={name: getattr(args, name) for name in _OPTIONS if getattr(args, name)},
        directives=tuple(args.directive),
        variables={} if state is None else state.env,
        interface=args.interface,
        program=None if args.no_preflight else _program(),
        interactive=args.interactive,
    )


def _words(args: argparse.Namespace) -> tuple[str, ...]:
    words = args.words[1:] if args.words[:1] == ["--"] else args.words
    if args.interactive and words:
        raise UsageError("--interactive gives a shell; it takes no command", command=_COMMAND)
    if args.interactive and args.kind != "ray":
        raise UsageError("--interactive is for Ray", command=_COMMAND)
    if not args.interactive and not words:
        raise UsageError("no command is named: put it behind --", command=_COMMAND)
    return ("bash", "-i") if args.interactive else tuple(words)


def _check(args: argparse.Namespace) -> None:
    for flag, least in (("nodes", 1), ("gpus_per_node", 0), ("cpus_per_task", 1)):
        value = getattr(args, flag)
        if value is not None and value < least:
            raise UsageError(f"--{flag.replace('_', '-')} {value} is below {least}", command=_COMMAND)
    for flag in (*_OPTIONS, "interface"):
        if any(letter in (getattr(args, flag) or "") for letter in "\n\r"):
            raise UsageError(f"--{flag} holds a line break", command=_COMMAND)
    if any("\n" in each for each in args.directive):
        raise UsageError("--directive holds a line break", command=_COMMAND)


def _program() -> str:
    """This verl-env, by its full path: job scripts run with whatever PATH the node has."""
    beside = Path(sys.executable).with_name("verl-env")
    return str(beside) if beside.exists() else shutil.which("verl-env") or "verl-env"
