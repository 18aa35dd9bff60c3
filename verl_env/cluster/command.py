"""The command that a launcher starts on each node: a few lines of sh that answer even where Python cannot."""

from __future__ import annotations

import json
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import verl_env

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROOT = str(Path(verl_env.__file__).parents[1])
#: Isolated (-I): neither the current directory nor the node's variables say what is imported.
_RUN = "import sys; sys.path.insert(0, {root!r}); from verl_env.cluster.node.{module} import main; main(sys.argv[1:])"


def node_command(module: str, arguments: Sequence[str], *, seconds: float) -> list[str]:
    """What runs a module of ``cluster.node`` on a node, below a deadline.

    It needs the Python and the files of this process at the same place on each node; where the Python is
    not, the answer says so.
    """
    code = _RUN.format(root=_ROOT, module=module)
    return guarded([sys.executable, "-I", "-c", code, *arguments], seconds=seconds)


def agent_command(
    into: Path | None, *, wanted: bool, directories: Sequence[str], required: Sequence[str] = (), seconds: float
) -> list[str]:
    """The command that probes and diagnoses a node; for the arguments see ``node.agent``."""
    places = {"directories": [*required, *directories], "required": list(required)}
    asked = {"into": None if into is None else str(into), "wanted": wanted, **places}
    return node_command("agent", [json.dumps(asked)], seconds=seconds)


def guarded(argv: Sequence[str], *, seconds: float) -> list[str]:
    """A command below a deadline; where it is missing or fails, the node answers that."""
    script = resources.files("verl_env.cluster").joinpath("data/guard.sh").read_text(encoding="utf-8")
    return ["/bin/sh", "-c", script, "verl-env-node", f"{max(1, round(seconds))}", *argv]
