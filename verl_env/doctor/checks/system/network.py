"""Network interfaces: which of them NCCL and gloo are told to use, and whether they are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.doctor.checks.functions import finds, mends, reads
from verl_env.doctor.model import Hit, Remedy

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable

    from verl_env.doctor.facts import Facts

_NCCL, _GLOO = "NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME"


def nccl_interfaces(value: str, names: Iterable[str]) -> tuple[str, ...]:
    """The interfaces that a value of NCCL_SOCKET_IFNAME leaves, of those that there are.

    It is a list of prefixes; ``=`` before the list asks for whole names, ``^`` for all other interfaces, and a port
    may follow each (NCCL's documentation of the variable, and ``ncclFindInterfaces`` of its ``socket.cc``, which
    passes over a value of one character).
    """
    others, listed = value.startswith("^"), value.removeprefix("^")
    exact, listed = listed.startswith("="), listed.removeprefix("=")
    wanted = tuple(name for part in listed.split(",") if (name := part.partition(":")[0]))
    if len(value) <= 1 or not wanted:
        return tuple(names)
    return tuple(name for name in names if (name in wanted if exact else name.startswith(wanted)) != others)


def gloo_missing(value: str, names: Iterable[str]) -> tuple[str, ...]:
    """The interfaces that a value of GLOO_SOCKET_IFNAME names and that are not there: a list of whole names.

    torch makes a device of each (``ProcessGroupGloo``), and fails at the first that it cannot make.
    """
    there = set(names)
    wanted = (part for part in value.split(",") if part) if len(value) > 1 else ()
    return tuple(part for part in wanted if part.partition(":")[0] not in there)


@finds("network-interface-absent")
def _absent(facts: Facts) -> Hit | None:
    names = facts.host.all_interfaces
    if not names:
        return None
    nccl, gloo = facts.variable(_NCCL), facts.variable(_GLOO)
    evidence = []
    if nccl and not nccl_interfaces(nccl, names):
        evidence.append(f"{_NCCL}={nccl} leaves no interface")
    if gloo and (missing := gloo_missing(gloo, names)):
        evidence.append(f"{_GLOO}={gloo}: there is no {', '.join(missing)}")
    if not evidence:
        return None
    # On a node without a GPU the variable may be meant for the nodes that have one.
    fails = facts.has_nvidia_gpu or facts.has_amd_gpu
    return Hit((*evidence, f"interfaces: {', '.join(names)}"), severity="error" if fails else "warning")


@reads("network-interface-absent")
def _absent_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    """NCCL 2.27 has no message of its own for it: that of a socket without an address counts only beside the facts."""
    return None if "with family" in match[0] and _absent(facts) is None else Hit(())


@mends("network-interface-absent")
def _name_one(facts: Facts) -> Remedy:
    up = facts.host.interfaces
    unset = f"unset {_NCCL} {_GLOO}"
    if not up:
        return Remedy("Look which interface has an address, and name that, or none.", ("ip -brief address", unset))
    text = f"Name an interface that is here and has an address ({', '.join(up)}), or none."
    return Remedy(text, (unset,))


@finds("network-interface")
def _several(facts: Facts) -> Hit | None:
    nodes = facts.variable("SLURM_JOB_NUM_NODES") or "1"
    several = facts.host.interfaces is not None and len(facts.host.interfaces) > 1
    if not several or nodes == "1" or facts.variable(_NCCL) or facts.variable(_GLOO):
        return None
    return Hit((f"interfaces: {', '.join(facts.host.interfaces or ())}", f"{nodes} nodes"), severity="warning")
