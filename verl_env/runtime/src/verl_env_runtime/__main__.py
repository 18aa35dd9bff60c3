"""``python -m verl_env_runtime``: the state of the patches in this interpreter, as JSON; with ``--verify``, proved.

``--in main|spawn`` says in which process the probes run. Nothing but one JSON document goes to stdout.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from .verify import in_process, in_ray, in_spawn

if TYPE_CHECKING:
    from collections.abc import Sequence

_WAYS = {"main": in_process, "spawn": in_spawn, "ray": in_ray}


def main(arguments: Sequence[str]) -> int:
    """Writes the document; the exit code is 0, whatever it says."""
    stdout = os.dup(1)
    os.dup2(2, 1)  # vLLM and its libraries print at import
    try:
        if "--verify" in arguments:
            document = _WAYS[arguments[arguments.index("--verify") + 1]]()
        else:
            from .report import report  # noqa: PLC0415

            document = report()
    finally:
        sys.stdout.flush()
        os.dup2(stdout, 1)
    os.write(1, json.dumps(document).encode() + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
