"""The GPUs that are compiled for: those of the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.choose.facts import facts_of
from verl_env.versions import dotted, is_dotted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.components.model import Recipe
    from verl_env.machine.model import Machine


def gpu_targets(machine: Machine | None, accelerator: str) -> tuple[str, ...]:
    """The distinct targets of a machine's GPUs, lowest first; empty where none is known.

    Of AMD those that the choice counts: graphics beside Instinct cards do not.
    """
    if machine is None:
        return ()
    if accelerator == "rocm":
        return tuple(sorted(gpus.target for gpus in facts_of(machine).rocm.gpus))
    nvidia = machine.nvidia.devices if machine.nvidia else ()
    found = {device.compute_capability for device in nvidia if isinstance(device.compute_capability, str)}
    return tuple(sorted((target for target in found if is_dotted(target)), key=dotted))


def written(targets: Sequence[str], recipe: Recipe) -> str:
    """Targets as the recipe's variable takes them: ``8.0;9.0``, ``80;90`` or ``gfx942;gfx950``."""
    plain = recipe.arch_style == "plain"
    return ";".join(target.replace(".", "") if plain else target for target in targets)
