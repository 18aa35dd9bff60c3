"""``verl-env cluster``: the same on every node of an allocation or of a Ray cluster."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.cli import cluster_script
from verl_env.errors import EXIT_NO, EXIT_OK, UsageError

if TYPE_CHECKING:
    import argparse

    from verl_env.cluster.slurm.allocation import Wish

_HELP = "verl-env cluster {action} --help"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env cluster``."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    line = "probe and diagnose every node, and name those that differ or do not answer"
    _doctor_arguments(actions.add_parser("doctor", help=line, description=line[0].upper() + line[1:] + "."))
    line = "write the script of a job: Ray or torchrun on all nodes, and its end when any part ends"
    cluster_script.add_arguments(actions.add_parser("script", help=line, description=line[0].upper() + line[1:] + "."))


def main(args: argparse.Namespace) -> int:
    """Does what was asked.

    Raises:
        VerlEnvError: the nodes cannot be asked.
    """
    return {"doctor": _doctor, "script": cluster_script.main}[args.action](args)


def _doctor_arguments(parser: argparse.ArgumentParser) -> None:
    _node_arguments(parser)
    parser.add_argument("--into", metavar="ENV", help="the environment (default: the active one, else .venv)")
    parser.add_argument(
        "--directory", metavar="DIR", action="append", default=[], help="must exist on every node (repeatable)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--timeout", metavar="SECONDS", type=float, default=120.0, help="what each node has (120)")


def _node_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("nodes", "inside of a Slurm job: all of its nodes, unless told otherwise")
    group.add_argument("--slurm", action="store_true", help="ask through srun (the default)")
    group.add_argument("--ray", metavar="ADDRESS", help="ask through a Ray cluster that runs: auto, or HOST:PORT")
    group.add_argument("--nodes", metavar="N", type=int, help="how many nodes there must be")
    group.add_argument("--nodelist", metavar="LIST", help="these nodes, as Slurm writes them: n[01-16]")
    group.add_argument("--partition", metavar="P", help="the partition to take nodes from")
    group.add_argument(
        "--slurm-option", metavar="OPT", action="append", default=[], help="for salloc: --slurm-option=--account=x"
    )
    group.add_argument(
        "--wait", metavar="SECONDS", type=float, default=60.0, help="how long an allocation may take (60)"
    )


def _wish(args: argparse.Namespace) -> Wish:
    from verl_env.cluster.slurm.allocation import Wish

    options = [*args.slurm_option, *([f"--partition={args.partition}"] if args.partition else [])]
    return Wish(args.nodes, args.nodelist, tuple(options), args.wait)


def _check(args: argparse.Namespace) -> None:
    """Refuses flags that contradict each other, and numbers that are none."""
    command = _HELP.format(action=args.action)
    if args.ray and (args.slurm or args.nodelist or args.partition or args.slurm_option):
        flag = next(name for name in ("slurm", "nodelist", "partition", "slurm_option") if getattr(args, name))
        raise UsageError(f"--{flag.replace('_', '-')} is for Slurm, and --ray asks a Ray cluster", command=command)
    if args.nodes is not None and args.nodes < 1:
        raise UsageError(f"--nodes {args.nodes} is no number of nodes", command=command)
    if args.timeout <= 0 or args.wait <= 0:
        raise UsageError("--timeout and --wait are numbers of seconds above 0", command=command)


def _doctor(args: argparse.Namespace) -> int:
    from verl_env.cli.console import print_json, stdout_console
    from verl_env.cli.doctor import environment_of
    from verl_env.cli.render_cluster import render, to_json
    from verl_env.cluster.doctor import Question, by_ray_tasks, by_srun

    _check(args)
    places = (str(Path.cwd()), os.environ.get("HOME") or "/")
    question = Question(
        environment_of(args.into), args.into is not None, places, required=tuple(args.directory), seconds=args.timeout
    )
    verdict = by_ray_tasks(question, args.ray, args.nodes) if args.ray else by_srun(question, _wish(args))
    if args.json:
        print_json(to_json(verdict))
    else:
        render(verdict, stdout_console())
    return EXIT_OK if verdict.ok else EXIT_NO
