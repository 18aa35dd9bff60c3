"""Proof of ``stale-loaders``: a copied method of another parameter does not take the place of a parameter's own."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verl_env_runtime.registry import Target


def probe(_: Target) -> str | None:
    """Copies the loading methods of one parameter onto another and asks whose they are."""
    torch = import_module("torch")
    module = import_module("vllm.model_executor.parameter")
    old, new = (torch.Tensor._make_subclass(module.ModelWeightParameter, torch.zeros(2, 2)) for _ in range(2))  # noqa: SLF001
    names = ("load_column_parallel_weight", "load_merged_column_weight", "load_qkv_weight", "load_row_parallel_weight")
    for name in names:
        setattr(new, name, getattr(old, name))
        if getattr(new, name).__self__ is not new:
            return f"{name} of a parameter writes into another one"
    return None
