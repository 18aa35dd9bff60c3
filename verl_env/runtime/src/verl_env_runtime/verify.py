"""Imports what the patches mend and runs their probes, in this process, a spawned one, or a Ray worker."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from . import hook, journal
from .gates import FAILED
from .registry import PATCHES
from .report import report
from .source import find_vllm

if TYPE_CHECKING:
    from typing import Any

    from .registry import Patch, Target


def in_process() -> dict[str, Any]:
    """The report of this process after the imports, each patch that acts with ``probed`` and, if not so, a reason.

    ``hook`` says whether the start-up hook was there before anything was called.
    """
    present = _hook_present()
    tree = find_vllm()
    acting = [(patch, target) for patch, target, verdict in hook.jobs() if verdict.acts] if tree else []
    errors = {target.name: _import_error(target) for _, target in acting}
    document = report()
    document.update(process="main", hook=present)
    for entry in document["patches"]:
        targets = [target for patch, target in acting if patch.id == entry["id"]]
        _prove(entry, targets, errors)
    document["faults"] = list(journal.faults)
    return document


def in_spawn() -> dict[str, Any]:
    """The same from a process that multiprocessing has spawned, as vLLM starts its workers."""
    import multiprocessing  # noqa: PLC0415

    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        document = pool.apply(in_process)
    return {**document, "process": "spawn"}


def in_ray() -> dict[str, Any]:
    """The same from a Ray worker; ``{"skipped": reason}`` where there is no Ray."""
    if find_spec("ray") is None:
        return {"schema": 1, "process": "ray", "skipped": "Ray is not installed"}
    ray = import_module("ray")
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        document = ray.get(ray.remote(in_process).remote())
    finally:
        ray.shutdown()
    return {**document, "process": "ray"}


def _hook_present() -> bool:
    boot = sys.modules.get("_verl_env_boot")
    watching = any(getattr(finder, "verl_env_watch", False) for finder in sys.meta_path)
    return boot is not None and (boot in sys.meta_path or watching or "vllm" in sys.modules)


def _import_error(target: Target) -> str | None:
    try:
        import_module(target.module)
    except Exception as error:  # noqa: BLE001  an environment that is broken is what this is to find out
        return f"{target.module} cannot be imported: {type(error).__name__}: {error}"
    return None


def _prove(entry: dict[str, Any], targets: list[Target], errors: dict[str, str | None]) -> None:
    entry["probed"] = False
    patch = next(patch for patch in PATCHES if patch.id == entry["id"])
    for target in targets:
        wrong = errors[target.name] or _probe(patch, target)
        if wrong:
            entry.update(state=FAILED, reason=wrong, probed=errors[target.name] is None)
            return
        entry["probed"] = True


def _probe(patch: Patch, target: Target) -> str | None:
    try:
        wrong: str | None = hook.resolve(patch.probe)(target)
    except Exception as error:  # noqa: BLE001  what a probe raises is its answer
        return f"the probe failed: {type(error).__name__}: {error}"
    return wrong
