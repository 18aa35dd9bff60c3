"""Everything that makes results of builds differ, as the facts that a cache keeps them by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verl_env.builds.environment import requirements
from verl_env.builds.variables import FLAGS
from verl_env.components.toolchain import torch_abi

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verl_env.builds.model import BuildHost, Job, Lock
    from verl_env.components.model import Catalogue

#: The tools of a host that a result depends on.
TOOLS = ("gcc", "gxx", "nvcc", "hipcc")


def facts_of(
    job: Job, lock: Lock, host: BuildHost, *, catalogue: Catalogue, after: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The facts of a result; a directory of headers or a library depends on no torch where its recipe says so.

    Args:
        job: What is built, and for which GPU targets.
        lock: What it is built for.
        host: What it is built with.
        catalogue: Which C++ ABI each torch is of.
        after: The keys of the results that it is built upon.
    """
    recipe = job.recipe
    facts: dict[str, Any] = {
        "component": job.build.name,
        "version": job.build.version,
        "source": recipe.source,
        "sha256": recipe.sha256,
        "product": recipe.product,
        "arch": lock.arch,
        "patches": list(recipe.patches),
    }
    if recipe.product == "source":
        return facts
    facts |= {
        "python": lock.python,
        "glibc": host.glibc,
        "targets": job.targets,
        "cuda": lock.cuda,
        "rocm": lock.rocm,
        **{tool: _text(getattr(host.toolchain, tool)) for tool in TOOLS},
        "flags": {name: host.environ[name] for name in FLAGS if host.environ.get(name)},
        "env": {**recipe.env, **job.build.env},
        "settings": list(recipe.settings),
        "links": dict(recipe.links),
        "commands": [list(command) for command in recipe.commands],
        **({"folder": recipe.folder} if recipe.folder else {}),
        "requires": requirements([job], lock),
        "constraints": list(lock.constraints),
        "lock": {file.wheel: lock.packages.get(file.wheel) for file in recipe.files if file.wheel},
        "after": dict(after or {}),
    }
    if recipe.torch:
        facts |= {"torch": lock.torch, "cxx11abi": torch_abi(catalogue, lock.torch, lock.cuda)}
    return facts


def missing_tools(host: BuildHost) -> tuple[str, ...]:
    """The tools that this host lacks: results that differ in these alone are as good here as any."""
    return tuple(
        tool for tool in TOOLS if getattr(host.toolchain, tool) is None or (tool == "nvcc" and host.nvcc_of_index)
    )


def _text(fact: object) -> str | None:
    return fact if isinstance(fact, str) else None
