"""``verl-env cluster install``: a pack on the disk of every node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.errors import EXIT_NO, EXIT_OK, UsageError

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from rich.console import Console

    from verl_env.cluster.install import StagedNodes, StagingPack
    from verl_env.cluster.launcher import Launcher

_COMMAND = "verl-env cluster install --help"
_USE = "verl-env run --into {} -- COMMAND"
_USE_OF_BUNDLE = "verl-env install --offline --wheelhouse {}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env cluster install``, but those that name nodes."""
    parser.add_argument(
        "file", metavar="FILE", type=Path, help="what verl-env pack made, or verl-env bundle with -o FILE.tar"
    )
    parser.add_argument(
        "--to", metavar="DIR", type=Path, required=True, help="the directory on each node's own disk, as a full path"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=float, default=900.0, help="what each node has for each step (900)"
    )


def pack_of(args: argparse.Namespace) -> StagingPack:
    """What is to be installed.

    Raises:
        PackInvalidError: the file is no pack.
        UsageError: the directory is none that it can go to.
    """
    from verl_env.cluster.install import read

    if not args.to.is_absolute() or ".." in args.to.parts or args.to == args.to.parent:
        raise UsageError(f"--to {args.to} is not the full path of a directory of its own", command=_COMMAND)
    return read(args.file.absolute(), args.to)


def main(args: argparse.Namespace, pack: StagingPack, nodes: Launcher) -> int:
    """Installs, and says which nodes have it.

    Raises:
        VerlEnvError: no node can be asked.
    """
    from verl_env.cli.console import print_json, stdout_console
    from verl_env.cluster.install import install

    staged = install(pack, nodes, seconds=args.timeout)
    if args.json:
        print_json(to_json(staged))
    else:
        render(staged, stdout_console())
    return EXIT_OK if staged.ok else EXIT_NO


def to_json(staged: StagedNodes) -> dict[str, Any]:
    """The outcome as ``--json`` prints it."""
    return {
        "schema": 1,
        "ok": staged.ok,
        "path": str(staged.pack.to),
        "file": str(staged.pack.file),
        "sha256": staged.pack.digest,
        "bytes": staged.pack.size,
        "way": list(staged.way),
        "expected": list(staged.expected),
        "installed": list(staged.installed),
        "present": list(staged.present),
        "failed": [{"node": each.node, "reason": each.reason} for each in staged.failed],
        "seconds": round(staged.seconds, 3),
    }


def render(staged: StagedNodes, console: Console) -> None:
    """The outcome for a reader: who does not have it and why, who has, one line at the end."""
    from verl_env.cli.console import unicode_ok
    from verl_env.cluster.fold import fold

    reasons: dict[str, list[str]] = {}
    for each in staged.failed:
        reasons.setdefault(each.reason, []).append(each.node)
    for reason, nodes in reasons.items():
        console.print("✗" if unicode_ok() else "x", style="bold red", end=" ", markup=False)
        console.print(f"{fold(nodes)}: {reason}", markup=False)
    for names, what in ((staged.installed, "installed"), (staged.present, "was there already")):
        if names:
            console.print(f"{fold(names)}: {what}", markup=False)
    have, way = len(staged.installed) + len(staged.present), " and ".join(staged.way)
    by = f", carried by {way}" if way else ""
    console.print(
        f"{have} of {len(staged.expected)} nodes have {staged.pack.to}{by} ({staged.seconds:.1f} s)", markup=False
    )
    if staged.ok:
        use = _USE_OF_BUNDLE if staged.pack.kind == "bundle" else _USE
        console.print(f"on each: {use.format(staged.pack.to)}", markup=False)
