"""Variables that change what ROCm shows: taken from the tools, and stated."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Which GPUs ROCm shows; ``CUDA_VISIBLE_DEVICES`` is among them, as HIP reads it too.
VISIBLE = ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL")

#: The beginning of what decides for which target ROCm takes a GPU (also ``HSA_OVERRIDE_GFX_VERSION_0`` and so on).
OVERRIDE = "HSA_OVERRIDE_GFX_VERSION"


def visible_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The set variables that hide GPUs."""
    return {name: environ[name] for name in VISIBLE if name in environ}


def override_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The set variables that change what a GPU is taken for."""
    return {name: value for name, value in sorted(environ.items()) if name.startswith(OVERRIDE)}


def child_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for ROCm's tools: without these variables, and with English messages."""
    kept = {name: value for name, value in environ.items() if name not in VISIBLE and not name.startswith(OVERRIDE)}
    return {**kept, "LC_ALL": "C"}
