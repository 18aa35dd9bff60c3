"""Conditions of wheels and builds on what was stated, in words."""

from __future__ import annotations

from verl_env.choose.find.model import Reason
from verl_env.choose.resolver.facts import ABI, ARCH, CAPABILITY, CUDA, GFX, GLIBC, HEADERS, PYTHON, ROCM, TORCH
from verl_env.choose.resolver.words import need_words
from verl_env.choose.words import sm
from verl_env.machine.model import UNKNOWN
from verl_env.texts import listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from verl_env.choose.resolver.model import Need, Value

#: What a fact is called, and the flag that states it.
NAMES = {
    TORCH: ("torch", "--torch"),
    CUDA: ("CUDA", "--cuda"),
    ROCM: ("ROCm", "--rocm"),
    PYTHON: ("Python", "--python"),
    ABI: ("C++ ABI", "--abi"),
    ARCH: ("architecture", "--arch"),
    GLIBC: ("glibc", "--glibc"),
    CAPABILITY: ("GPU", "--gpu"),
    GFX: ("GPU", "--gpu"),
}
_ABIS = {"TRUE": "new", "FALSE": "old"}


def reason_of(need: Need, value: Value) -> Reason:
    """A condition beside what there is."""
    have = _have(need.name, value)
    name = NAMES.get(need.name, (need.name.strip("<>"), ""))[0]
    return Reason(name, _need(need), have, _message(need, name, have))


def unstated_words(need: Need) -> str:
    """The fact and its flag, of a condition on something that nobody stated; nothing where it has none."""
    if need.name in NAMES:
        return "{} ({})".format(*NAMES[need.name])
    return need.name.strip("<>") if need.why else ""


def _message(need: Need, name: str, have: str | None) -> str:
    if need.name == GLIBC:
        if need.perhaps:
            return f"made where glibc is {need.least}; whether it needs one newer than {have} shows when it is read"
        return f"needs glibc {need.least}, not {have}"
    if need.name in (CAPABILITY, GFX):
        what = f"code for {_need(need)}" if need.among else f"sources for {_need(need)}"
        return f"has {what}, not for {have}"
    if need.name in NAMES:
        return f"for {name} {_need(need)}, not {have or 'without'}"
    if need.name == HEADERS:
        return "needs the headers of Python"
    needed = need_words(need).replace("torch of the lock", "torch")
    return f"needs {needed}, and {f'there is {have}' if have else 'there is none'}"


def _need(need: Need) -> str:
    if need.name == ABI:
        return _ABIS[need.among[0]]
    if need.name in (CAPABILITY, GFX):
        return listed(map(_target, need.among)) if need.among else f"{_target(need.least or '')} or newer"
    if need.among:
        return listed(need.among, "or")
    least = f"{need.least} or newer" if need.least else ""
    return " and ".join(filter(None, (least, f"older than {need.below}" if need.below else "")))


def _have(name: str, value: Value) -> str | None:
    if value is None or value is UNKNOWN:
        return None
    if isinstance(value, tuple):
        return listed(map(_target, value))
    return _ABIS.get(str(value), str(value)) if name == ABI else str(value)


def _target(target: str) -> str:
    return target if target.startswith("gfx") else sm(target)
