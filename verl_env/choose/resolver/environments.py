"""Environments as candidates: which there are, in which order, and the facts that each of them sets."""

from __future__ import annotations

from verl_env.choose.pythons import pythons_in_order
from verl_env.choose.resolver.facts import ABI, CUDA, HEADERS, PYTHON, ROCM, TORCH
from verl_env.choose.resolver.model import Environment, FactSetting
from verl_env.choose.resolver.needs import abi_value
from verl_env.components.toolchain import torch_abi
from verl_env.machine.model import UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from verl_env.choose.facts import MachineFacts
    from verl_env.choose.model import Request
    from verl_env.choose.resolver.model import Value
    from verl_env.components.model import Catalogue
    from verl_env.locksets.model import Lockset


def environments_of(locksets: Iterable[Lockset], facts: MachineFacts, request: Request) -> tuple[Environment, ...]:
    """Each lockset on each of its Pythons; locksets in the order given, Pythons in that of ``pythons_in_order``."""
    return tuple(
        Environment(lockset, python, interpreter)
        for lockset in locksets
        for python, interpreter in pythons_in_order(lockset, facts, request)
    )


def settings_of(environment: Environment, facts: MachineFacts, catalogue: Catalogue) -> tuple[FactSetting, ...]:
    """The facts that an environment sets."""
    lockset = environment.lockset
    values: dict[str, Value] = {
        PYTHON: environment.python,
        TORCH: lockset.torch,
        CUDA: lockset.cuda,
        ROCM: lockset.rocm,
        ABI: _abi(lockset, catalogue),
        HEADERS: _headers(environment, facts),
    }
    return tuple(FactSetting(name, value) for name, value in values.items())


def _abi(lockset: Lockset, catalogue: Catalogue) -> Value:
    cxx11abi = torch_abi(catalogue, lockset.torch, lockset.cuda)
    return UNKNOWN if cxx11abi is None else abi_value(cxx11abi=cxx11abi)


def _headers(environment: Environment, facts: MachineFacts) -> Value:
    """Whether the interpreter comes with Python.h; one that is still to be got is not known."""
    pythons = facts.machine.pythons or ()
    python = next((python for python in pythons if python.path == environment.interpreter), None)
    if python is None or python.headers is UNKNOWN:
        return UNKNOWN
    return "yes" if python.headers else None
