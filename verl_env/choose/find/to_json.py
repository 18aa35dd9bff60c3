"""Findings as the JSON of ``verl-env find``."""

from __future__ import annotations

from verl_env.choose.compare import minor_release
from verl_env.machine.model import UNKNOWN
from verl_env.records import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from verl_env.choose.facts import MachineFacts
    from verl_env.choose.find.model import Findings, Found, World
    from verl_env.choose.resolver.model import Value
    from verl_env.components.model import WheelIndex

SCHEMA = 1
HASH_UNRECORDED = "hash-unrecorded"


def findings_json(findings: Findings, facts: MachineFacts) -> dict[str, Any]:
    """The whole document; a key of ``asked`` is left out where nobody stated it."""
    best = findings.best
    return {
        "schema": SCHEMA,
        "component": findings.name,
        "specifier": findings.specifier,
        "asked": asked_json(findings.world, facts),
        "assumed": list(findings.world.assumed),
        "best": None if best is None else found_json(best),
        "wheels": [found_json(each) for each in findings.wheels],
        "builds": [found_json(each) for each in findings.builds],
        "indexes": [index_json(findings.name, each, findings.world) for each in findings.indexes],
    }


def asked_json(world: World, facts: MachineFacts) -> dict[str, Any]:
    """What was stated, by flags, an environment or the machine."""
    host = facts.machine.host
    gpus = [gpus.target for gpus in (facts.cuda if world.accelerator == "cuda" else facts.rocm).gpus]
    stated: dict[str, Value] = {
        "torch": world.torch,
        "cuda": world.cuda,
        "rocm": world.rocm,
        "python": world.python,
        "abi": {"TRUE": "new", "FALSE": "old"}.get(str(world.abi), UNKNOWN),
        "arch": host.arch,
        "glibc": host.glibc,
    }
    known = {name: value for name, value in stated.items() if value is not UNKNOWN}
    return {**known, **({"gpus": gpus} if gpus else {})}


def found_json(found: Found) -> dict[str, Any]:
    """One wheel or build."""
    entry: dict[str, Any] = {
        "version": found.version,
        "how": found.how,
        "fits": found.fits,
        "reasons": [values(reason) for reason in found.reasons],
        "doubts": [values(doubt) for doubt in found.doubts],
        "unstated": list(found.unstated),
    }
    wheel, recipe = found.wheel, found.recipe
    if wheel is not None:
        entry |= {
            "file": wheel.file,
            "url": wheel.url,
            "sha256": wheel.sha256 or HASH_UNRECORDED,
            "date": wheel.date,
            "publisher": wheel.publisher,
            "source": wheel.source,
            "torch": [wheel.torch, *wheel.torch_also] if wheel.torch else [],
            "cuda": wheel.toolkit or wheel.cuda,
            "rocm": wheel.rocm,
            "pythons": list(wheel.pythons),
            "abi": None if wheel.cxx11abi is None else "new" if wheel.cxx11abi else "old",
            "arch": wheel.arch,
            "glibc": wheel.glibc,
            "gpus": list(wheel.gpus),
            "address_confirmed": wheel.address_confirmed,
        }
    if recipe is not None:
        entry |= {"source": recipe.source, "sha256": recipe.sha256 or HASH_UNRECORDED, "minutes": recipe.minutes}
    return entry


def index_json(name: str, index: WheelIndex, world: World) -> dict[str, Any]:
    """An index with the command that asks it; ``seen``: somebody has seen a wheel for this CUDA and torch there."""
    return {
        "publisher": index.publisher,
        "command": index_command(name, index, world),
        "seen": _pair(world) in index.pairs,
        "source": index.source,
    }


def index_command(name: str, index: WheelIndex, world: World) -> str | None:
    """The command that asks an index for the wheel; None where CUDA or torch was not stated."""
    pair = _pair(world)
    if not pair:
        return None
    cuda, torch = pair.split(" ")
    version = index.version.replace("{cuda}", cuda).replace("{torch}", torch)
    url = index.url.replace("{cu}", cuda.replace(".", ""))
    return f"uv pip install --no-deps '{name}=={version}' --index {url}"


def _pair(world: World) -> str:
    if not isinstance(world.cuda, str) or not isinstance(world.torch, str) or "." not in world.cuda:
        return ""
    return f"{minor_release(world.cuda)} {minor_release(world.torch)}"
