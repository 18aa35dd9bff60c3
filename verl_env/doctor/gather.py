"""Facts of an environment on this machine."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING, Any, Literal

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from verl_env.credentials import without_credentials_in
from verl_env.doctor.commands import Shell
from verl_env.doctor.engines.host import HostFacts, read_host
from verl_env.doctor.engines.metadata import by_name
from verl_env.doctor.facts import Facts, flavour_of_version
from verl_env.doctor.target import InspectedEnvironment
from verl_env.environment.proofs import kept_proofs
from verl_env.environment.state import read_state
from verl_env.errors import VerlEnvError
from verl_env.install.completeness import of_state
from verl_env.install.fitness import misfits_of_state
from verl_env.locksets.catalogue import load_catalogue, packages_of
from verl_env.machine.model import UNKNOWN
from verl_env.places import from_here
from verl_env.plans.plan import VERL
from verl_env.reading import forget

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from verl_env.machine.model import Machine

#: Seconds for the host's facts; a hung network mount must not hang the doctor.
HOST_DEADLINE = 10.0


def gather(prefix: Path, environment: Mapping[str, str], machine: Machine, *, host: HostFacts | None = None) -> Facts:
    """The facts of the environment at a prefix, under some environment variables, on some machine.

    Raises:
        NoEnvironmentError: there is no environment at that place.
    """
    forget()
    target = InspectedEnvironment(prefix, environment)
    named = by_name(target.distributions)
    packages = {name: found[0].version for name, found in named.items()}
    made = _made_from(prefix, packages, machine)
    flavour = target.torch_flavour if "torch" in named else None
    return Facts(
        machine=machine,
        python=target.config.get("version_info") or target.config.get("version") or target.python,
        packages=packages,
        packages_complete=True,
        duplicates={
            name: tuple(one.version or "?" for one in found)
            for name, found in named.items()
            if len({one.path for one in found if one.site == found[0].site}) > 1
        },
        urls={name: found[0].url for name, found in named.items() if found[0].url},
        environment=without_credentials_in(dict(environment)),
        environment_complete=True,
        torch_flavour=flavour or flavour_of_version(packages.get("torch")) or UNKNOWN,
        host=_host(environment) if host is None else host,
        target=target,
        shell=Shell(_installer(named), str(target.interpreter), made.get("locked", {})),
        proofs=kept_proofs(prefix),
        **made,
    )


def _made_from(prefix: Path, packages: Mapping[str, str | None], machine: Machine) -> dict[str, Any]:
    """The lockset that the environment says it was made from: its pins, and what it leaves unmet on purpose."""
    state = read_state(prefix)
    if state is None:
        return {}
    misfits = misfits_of_state(state, machine)
    made: dict[str, Any] = {"lockset": state.lockset, "moved": state.drift, "misfits": misfits}
    try:
        lockset = next(each for each in load_catalogue() if each.id == state.lockset)
        made["completeness"] = of_state(state, lockset, from_here(prefix), packages)
        pins = {package.name: package.version for package in packages_of(lockset, state.python)}
    except (StopIteration, KeyError, VerlEnvError):
        return made
    if state.verl_source is not None or VERL not in packages:
        pins.pop(VERL, None)
    made["natives"] = frozenset(each.name for each in lockset.natives if each.name not in state.left_out)
    lock = lockset.python(state.python)
    unmet = lock.unmet if lock is not None else ()
    names = ((canonicalize_name(each.package), Requirement(each.requires).name) for each in unmet)
    return {**made, "locked": pins, "unmet": frozenset((package, canonicalize_name(name)) for package, name in names)}


def _installer(named: Mapping[str, object]) -> Literal["uv", "pip"]:
    """Pip where the environment has it and uv is not at hand; uv otherwise."""
    return "pip" if "pip" in named and shutil.which("uv") is None else "uv"


def _host(environment: Mapping[str, str]) -> HostFacts:
    """The facts of the node, or nothing of them when they take too long."""
    found: list[HostFacts] = []
    reader = threading.Thread(target=lambda: found.append(read_host(environment)), daemon=True)
    reader.start()
    reader.join(HOST_DEADLINE)
    return found[0] if found else HostFacts()
