"""What verl-env installs beside vLLM: patches that act when vLLM is imported, and what a trainer calls.

The package has no dependency and supports Python 3.9 and later. Nothing here imports torch or vLLM before they are
needed: the names below are resolved when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from .fp8.names import quantize_weights
    from .fp8.quantize import scaled_fp8_blockwise
    from .fp8.refit import load_quantized, refit
    from .hook import install
    from .lora import lora_request_from_tensors
    from .moe import restore_expert_loaders
    from .report import status

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "install",
    "load_quantized",
    "lockset",
    "lora_request_from_tensors",
    "quantize_weights",
    "refit",
    "restore_expert_loaders",
    "scaled_fp8_blockwise",
    "status",
]

_WHERE = {
    "install": "hook",
    "load_quantized": "fp8.refit",
    "lora_request_from_tensors": "lora",
    "quantize_weights": "fp8.names",
    "refit": "fp8.refit",
    "restore_expert_loaders": "moe",
    "scaled_fp8_blockwise": "fp8.quantize",
    "status": "report",
}


def lockset() -> str | None:
    """The id of the lockset that this environment was made from, or None where none is recorded."""
    from pathlib import Path  # noqa: PLC0415

    try:
        return Path(__file__).with_name("lockset.txt").read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module("." + _WHERE[name], __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
