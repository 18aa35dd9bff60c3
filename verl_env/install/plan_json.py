"""A plan as the JSON that ``verl-env plan --json`` prints; a refusal is the chooser's to word."""

from __future__ import annotations

from verl_env.choose.to_json import passed_json, refused_json, rejected_json
from verl_env.install.completeness import of_plan
from verl_env.plans.sizes import cost
from verl_env.records import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from verl_env.choose.model import Build, Choice
    from verl_env.locksets.model import Package
    from verl_env.plans.model import Plan

SCHEMA = 1
#: Stands where a hash would, for a wheel whose hash nobody recorded.
HASH_UNRECORDED = "hash-unrecorded"


def plan_to_json(plan: Plan, choice: Choice) -> dict[str, Any]:
    """The plan with what was chosen; keys of the contract first, ours after them."""
    lockset = plan.lockset
    return {
        "schema": SCHEMA,
        "stack": plan.stack,
        "lockset": lockset.id,
        "verl": lockset.verl,
        "python": plan.python,
        "arch": plan.arch,
        "accelerator": lockset.accelerator,
        "steps": [{"kind": step.kind, "title": step.title, "detail": step.detail} for step in plan.steps],
        "packages": [_package(package) for package in plan.packages],
        "native": [native_to_json(native) for native in plan.natives],
        "download_bytes": plan.download_bytes,
        "disk_bytes": plan.disk_bytes,
        "env": dict(plan.env),
        "warnings": list(plan.warnings),
        "refused": refused_json(choice.refused),
        "disk_files": cost(plan.packages).files,
        "cuda": lockset.cuda,
        "rocm": lockset.rocm,
        "torch": lockset.torch,
        "engines": dict(lockset.engines),
        "interpreter": plan.interpreter,
        "verl_source": plan.verl_source,
        "checks": [check.id for check in plan.checks],
        "extras": list(plan.extras),
        "provided": [values(each) for each in plan.provided],
        "passed": [passed_json(each) for each in choice.passed],
        **of_plan(plan).to_json(),
    }


def native_to_json(choice: Build) -> dict[str, Any]:
    """One native component; ``url`` and ``sha256`` only where a wheel is taken, ``source`` where there is a way."""
    entry: dict[str, Any] = {
        "name": choice.name,
        "version": choice.version,
        "how": choice.how,
        "reason": choice.reason,
        "needs": list(choice.needs),
        "rejected": rejected_json(choice.rejected),
        "warnings": list(choice.warnings),
        "required": choice.required,
        "others": [way.way for way in choice.others],
        "deviation": _deviation(choice),
    }
    if choice.after:
        entry["after"] = list(choice.after)
    if choice.wheel is not None:
        where = {"source": "index"} if choice.wheel.on_index else {"source": choice.wheel.url, "url": choice.wheel.url}
        entry |= {**where, "file": choice.wheel.file}
        entry |= {"sha256": choice.wheel.sha256 or HASH_UNRECORDED}
    if choice.recipe is not None:
        entry["source"] = choice.recipe.source
    return entry


def _deviation(choice: Build) -> dict[str, Any] | None:
    """The version of the lockset, why it is not taken, and who takes the other one; None where it is the lockset's."""
    if choice.deviation is None:
        return None
    return {**values(choice.deviation), "accepted": list(choice.deviation.accepted)}


def _package(package: Package) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": package.name,
        "version": package.version,
        "source": package.source,
        "hashes": list(package.hashes),
    }
    if package.url is not None:
        entry["url"] = package.url
    return entry
