"""What the files foretell of the libraries of a process, beside what a process has loaded.

The static reading follows the loader's rules; what a ``.pth`` hook, a wrapper or a preload does at run time it cannot
see. Where the two differ, the process is right.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from verl_env.doctor.check import Check
from verl_env.doctor.model import Hit, Remedy
from verl_env.reading import json_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.doctor.facts import Facts
    from verl_env.doctor.target import InspectedEnvironment

_SHOWN = 8


def differences(target: InspectedEnvironment, loaded: Sequence[str]) -> list[str]:
    """Libraries that were loaded from another place than the files foretell.

    Args:
        target: The environment.
        loaded: Paths of the shared objects of a process that has imported torch.
    """
    there: dict[str, set[str]] = {}
    for path in loaded:
        there.setdefault(os.path.basename(path), set()).add(os.path.realpath(path))  # noqa: PTH119  plain strings
    found = []
    for soname, foretold in target.torch_process.loaded.items():
        places = there.get(soname, set())
        if places and os.path.realpath(foretold.elf.path) not in places:
            found.append(f"{soname}: {min(places)}, foretold: {target.relative(foretold.elf.path)} ({foretold.by})")
    return found


def foretold_check(answer: str) -> Check:
    """A check whose finding is a process that differs from what the files foretell.

    Args:
        answer: What the probe printed; nothing is found where it is no list of paths.
    """

    def find(facts: Facts) -> Hit | None:
        try:
            loaded = [str(path) for path in json_of(answer)]
        except (ValueError, TypeError):
            return None
        lines = differences(facts.target, loaded) if facts.target else []
        return Hit(tuple(lines[:_SHOWN])) if lines else None

    return Check(
        id="libraries-not-foretold",
        theme="loader",
        severity="info",
        title="A process loads other libraries than the files foretell",
        cause="Something at start-up chose them: a preload, a wrapper, a .pth file; findings on the loader may differ.",
        remedy=Remedy(
            "Read the findings on the loader with this in mind.", ("LD_DEBUG=libs python -c 'import torch'",)
        ),
        covers=("K2",),
        sources=("pytorch PR#131295", "pytorch#185512"),
        read="2026-11-20",
        find=find,
    )
