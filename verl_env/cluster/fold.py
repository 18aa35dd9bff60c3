"""Names of nodes, folded (``node[001-016]``): by ClusterShell where it is there, else by Slurm, else not."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

from verl_env.machine.child import run
from verl_env.machine.process import Completed

if TYPE_CHECKING:
    from collections.abc import Sequence

_SECONDS = 10.0


def fold(names: Sequence[str]) -> str:
    """Names in one word, sorted; a comma-separated list where nothing here can fold."""
    if len(names) < 2:  # noqa: PLR2004  one name is its own fold
        return "".join(names)
    return _by_clustershell(names) or _by_slurm(names) or ",".join(names)


def _by_clustershell(names: Sequence[str]) -> str | None:
    try:
        from ClusterShell.NodeSet import NodeSet, NodeSetException  # noqa: PLC0415  an extra
    except ImportError:
        return None
    try:
        return str(NodeSet.fromlist(list(names)))
    except NodeSetException:
        return None


def _by_slurm(names: Sequence[str]) -> str | None:
    if shutil.which("scontrol") is None:
        return None
    argv = ["scontrol", "show", "hostlistsorted", ",".join(names)]
    outcome = run(argv, deadline=time.monotonic() + _SECONDS)
    if not isinstance(outcome, Completed) or outcome.returncode:
        return None
    return outcome.stdout.decode("utf-8", "replace").strip() or None
