"""``verl-env cluster``: the same on every node of an allocation or of a Ray cluster."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.cli.nodes import cluster_install, cluster_script
from verl_env.errors import EXIT_NO, EXIT_OK, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from verl_env.cluster.deep.judge import DeepVerdict
    from verl_env.cluster.launcher import Launcher
    from verl_env.cluster.model import ClusterVerdict

_NODES = "inside of a Slurm job: all of its nodes, unless told otherwise"
_HELP = "verl-env cluster {action} --help"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env cluster``."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    line = "probe and diagnose every node, and name those that differ or do not answer"
    _doctor_arguments(actions.add_parser("doctor", help=line, description=line[0].upper() + line[1:] + "."))
    line = "put a packed environment on the disk of every node, and say which have it"
    staging = actions.add_parser("install", help=line, description=line[0].upper() + line[1:] + ".")
    cluster_install.add_arguments(staging)
    staging.add_argument("--into", metavar="ENV", help="with --ray: the environment of the cluster (default as doctor)")
    _node_arguments(staging)
    line = "write the script of a job: Ray or torchrun on all nodes, and its end when any part ends"
    cluster_script.add_arguments(actions.add_parser("script", help=line, description=line[0].upper() + line[1:] + "."))


def main(args: argparse.Namespace) -> int:
    """Does what was asked.

    Raises:
        VerlEnvError: the nodes cannot be asked.
    """
    return {"doctor": _doctor, "install": _install, "script": cluster_script.main}[args.action](args)


def _install(args: argparse.Namespace) -> int:
    _check(args)
    pack = cluster_install.pack_of(args)
    with _nodes(args) as nodes:
        return cluster_install.main(args, pack, nodes)


def _doctor_arguments(parser: argparse.ArgumentParser) -> None:
    _node_arguments(parser)
    parser.add_argument("--into", metavar="ENV", help="the environment (default: the active one, else .venv)")
    parser.add_argument(
        "--directory", metavar="DIR", action="append", default=[], help="must exist on every node (repeatable)"
    )
    parser.add_argument("--deep", action="store_true", help="also exchange data between all nodes, with torch")
    parser.add_argument("--backend", choices=("nccl", "gloo"), help="with --deep (nccl where there are GPUs)")
    parser.add_argument("--local", metavar="N", type=int, help="with --deep: N processes here in the place of nodes")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--timeout", metavar="SECONDS", type=float, help="what each node has (120; 300 with --deep)")


def _node_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("nodes", _NODES)
    group.add_argument("--ray", metavar="ADDRESS", help="ask through a Ray cluster that runs: auto, or HOST:PORT")
    group.add_argument("--slurm", action="store_true", help="ask through srun (the default)")
    group.add_argument("--nodes", metavar="N", type=int, help="how many nodes there must be")
    group.add_argument("--nodelist", metavar="LIST", help="these nodes, as Slurm writes them: n[01-16]")
    group.add_argument("--partition", metavar="P", help="the partition to take nodes from")
    group.add_argument(
        "--slurm-option", metavar="OPT", action="append", default=[], help="for salloc: --slurm-option=--account=x"
    )
    group.add_argument(
        "--wait", metavar="SECONDS", type=float, default=60.0, help="how long an allocation may take (60)"
    )


@contextlib.contextmanager
def _nodes(args: argparse.Namespace) -> Iterator[Launcher]:
    """The nodes that are meant, and the way to them."""
    if args.ray:
        from verl_env.cli.diagnose.doctor import environment_of
        from verl_env.cluster.ray.launcher import Ray

        yield Ray(args.ray, environment_of(args.into), args.nodes)
        return
    from verl_env.cli.console import say, stderr_console
    from verl_env.cluster.slurm.allocation import NodeRequest, allocation
    from verl_env.cluster.slurm.launcher import Slurm

    options = [*args.slurm_option, *([f"--partition={args.partition}"] if args.partition else [])]
    wish = NodeRequest(args.nodes, args.nodelist, tuple(options), args.wait, args.action)
    with allocation(wish, os.environ, lambda text: say(stderr_console(), text)) as allocated:
        yield Slurm(allocated)


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
    """The verdict on the nodes, and with ``--deep`` on what those that answered exchange."""
    from verl_env.cli.console import print_json, stdout_console
    from verl_env.cli.render.cluster import render, to_json

    if args.timeout is None:
        args.timeout = 300.0 if args.deep else 120.0
    _check(args)
    if args.local is not None and (args.local < 2 or not args.deep):  # noqa: PLR2004  a pair
        raise UsageError("--local N is for --deep, with N of at least 2", command=_HELP.format(action="doctor"))
    verdict, exchanged = _examined(args)
    if args.json:
        print_json(to_json(verdict, exchanged))
    else:
        render(verdict, exchanged, stdout_console())
    return EXIT_OK if (verdict is None or verdict.ok) and (exchanged is None or exchanged.ok) else EXIT_NO


def _examined(args: argparse.Namespace) -> tuple[ClusterVerdict | None, DeepVerdict | None]:
    from verl_env.cli.diagnose.doctor import environment_of
    from verl_env.cluster.deep.exchange import exchange
    from verl_env.cluster.doctor import Question, examine
    from verl_env.cluster.local import Local

    environment = environment_of(args.into)
    if args.local is not None:
        processes = Local(args.local)
        backend = args.backend or ("nccl" if Path("/dev/nvidiactl").exists() else "gloo")
        return None, exchange(processes, processes.names, environment, backend, seconds=args.timeout)
    places = (str(Path.cwd()), os.environ.get("HOME") or "/")
    question = Question(environment, args.into is not None, places, tuple(args.directory), args.timeout)
    with _nodes(args) as nodes:
        return examine(question, nodes, args.backend or "nccl" if args.deep else None)
