"""Why ways do not fit, in words."""

from __future__ import annotations

from verl_env.choose.model import Rejected
from verl_env.choose.resolver.facts import ABI, ARCH, CAPABILITY, CUDA, GFX, GLIBC, HEADERS, PYTHON, REACH, ROCM, TORCH
from verl_env.choose.words import sm
from verl_env.machine.model import UNKNOWN
from verl_env.texts import listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from verl_env.choose.resolver.model import AcceptedRange, ComponentCandidate, Need, Value
    from verl_env.components.model import Range

_NAMES = {CUDA: "CUDA", ROCM: "ROCm"}
_ABIS = {"TRUE": "new", "FALSE": "old"}


def wheels_rejected(name: str, ways: Sequence[ComponentCandidate], needs: Sequence[Need], value: Value) -> Rejected:
    """Wheels that one fact keeps out; ``needs`` are theirs on it, ``value`` is what it is."""
    wheel = ways[0].wheel
    what = wheel.file if len(ways) == 1 and wheel is not None else f"{len(ways)} published wheels of {name}"
    return Rejected(what, _WHEELS[needs[0].name](needs, value))


def build_rejected(way: ComponentCandidate, obstacles: Iterable[str]) -> Rejected:
    """A build that cannot be made, and each obstacle."""
    return Rejected(build_words(way), "; ".join(obstacles))


def build_words(way: ComponentCandidate) -> str:
    """``"a build from git+https://host/x.git@v2.2"``."""
    return f"a build from {way.recipe.source}" if way.recipe is not None else "a build"


def obstacle_words(need: Need, value: Value) -> str:
    """Why a build's condition on a fact is not met."""
    if need.name == REACH:
        return need.why
    if need.name == HEADERS:
        return "needs the headers of Python (Python.h), and its interpreter comes without them"
    if need.name in (CAPABILITY, GFX):
        return f"{need.why} are for {_target(need.least or '')} or newer, and this machine has {_targets(value)}"
    if need.name in (CUDA, ROCM):
        return f"is for {_NAMES[need.name]} only"
    have = "there is none" if value is None else f"this machine has {value}"
    return f"needs {need_words(need)}, and {have}"


def absent_words(needs: Sequence[Need]) -> str:
    """A build's conditions on a tool that is not there: one obstacle, however many they are."""
    first, *more = needs
    name = first.name.strip("<>")
    also = (need_words(need).removeprefix(f"{name} ") for need in more)
    return f"needs {listed((need_words(first), *also))}, and there is none"


def need_words(need: Need) -> str:
    """A condition on a tool, with its reason: ``"nvcc 13.x (torch of the lock is of CUDA 13.0)"``."""
    why = f" ({need.why})" if need.why else ""
    return f"{need.name.strip('<>')}{_range(need.least, need.below)}{why}"


def range_words(user: ComponentCandidate, takes: AcceptedRange, version: str) -> str:
    """``"transformer-engine 2.5.0 takes flash-attn up to 2.7.4.post1 (its source), not 2.8.3"``."""
    return f"{user.name} {user.version} takes {takes.name} {bounds(takes.words)} ({takes.words.source}), not {version}"


def bounds(words: Range) -> str:
    """``"2.6.0a0 or newer, older than 2.7.0"``."""
    if words.least is not None and words.least == words.most:
        return f"{words.least} only"
    least = f"{words.least} or newer" if words.least is not None else ""
    most = f"up to {words.most}" if words.most is not None else f"older than {words.below}" if words.below else ""
    return ", ".join(filter(None, (least, most))) or "any version"


def doubt_words(needs: Sequence[Need]) -> Iterator[str]:
    """Conditions on facts that the machine does not state, or that nobody recorded of torch or of a wheel."""
    for need in needs:
        if need.perhaps:
            yield f"its wheel was made where glibc is {need.least}, and whether it needs one as new is not measured"
    stated = [need for need in needs if need.name != ABI and not need.perhaps]
    if any(need.name == ABI for need in needs):
        yield "nobody recorded of which C++ ABI torch of the lock is"
    if stated:
        words = listed(f"{need.name.strip('<>')}{_range(need.least, need.below)}" for need in stated)
        yield f"needs {words}, of which the machine says nothing"


def _range(least: str | None, below: str | None) -> str:
    if least is not None and below is not None:
        if below == _following(least):
            return f" {least}.x"
        return f" {least} or newer, older than {below}"
    if least is not None:
        return f" {least} or newer"
    return f" older than {below}" if below is not None else ""


def _following(release: str) -> str:
    """``"12.10"`` for ``"12.9"``."""
    head, dot, last = release.rpartition(".")
    return f"{head}{dot}{int(last) + 1}" if last.isdigit() else ""


def _values(needs: Iterable[Need]) -> str:
    """Every value that conditions name, in version order where they are versions."""
    found = {value for need in needs for value in need.among}
    return listed(sorted(found, key=_order), "or")


def _order(text: str) -> tuple[tuple[int, int, str], ...]:
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in text.split("."))


def _target(target: str) -> str:
    return target if target.startswith("gfx") else sm(target)


def _targets(value: Value) -> str:
    return listed(map(_target, value)) if isinstance(value, tuple) else "none"


def _have(value: Value) -> str:
    return str(value) if value is not None and value is not UNKNOWN else "none"


def _abi(needs: Sequence[Need], value: Value) -> str:
    """The C++ ABI of wheels beside that of torch."""
    mine = needs[0].among[0]
    other = f" and torch of the lock of the {_ABIS[value]} one" if isinstance(value, str) else " and torch of none"
    return f"of the {_ABIS[mine]} C++ ABI (cxx11abi {mine}),{other}"


def _glibc(needs: Sequence[Need], value: Value) -> str:
    least = listed(sorted({need.least or "" for need in needs}, key=_order), "or")
    return f"needs glibc {least}, and this machine has {_have(value)}"


def _gpu(needs: Sequence[Need], value: Value) -> str:
    return f"has code for {listed(map(_target, needs[0].among))}, and this machine has {_targets(value)}"


_WHEELS: dict[str, Callable[[Sequence[Need], Value], str]] = {
    TORCH: lambda needs, value: f"made for torch {_values(needs)}, and the lock has {_have(value)}",
    CUDA: lambda needs, value: f"made for CUDA {_values(needs)}, and torch of the lock is of CUDA {_have(value)}",
    ROCM: lambda needs, value: f"made for ROCm {_values(needs)}, and torch of the lock is of ROCm {_have(value)}",
    ARCH: lambda needs, value: f"made for {_values(needs)}, not {_have(value)}",
    PYTHON: lambda needs, value: f"made for Python {_values(needs)}, not {_have(value)}",
    ABI: _abi,
    GLIBC: _glibc,
    CAPABILITY: _gpu,
    GFX: _gpu,
    REACH: lambda needs, _: "; ".join(dict.fromkeys(need.why for need in needs)),
}
