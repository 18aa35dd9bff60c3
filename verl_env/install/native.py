"""How each native component of a lockset gets into an environment: as a published wheel that fits, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.choose.model import Build
from verl_env.components.model import Wheel
from verl_env.install.errors import NativeBuildUnavailable, NativeUnavailable
from verl_env.versions import at_least

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.choose.model import NativeMode
    from verl_env.locksets.model import Lockset, Native, Prebuilt


def choose_natives(
    lockset: Lockset, stack: Sequence[str], mode: NativeMode | None, *, python: str, glibc: str | None, arch: str
) -> tuple[Build, ...]:
    """One choice for each native component that the stack needs.

    Args:
        lockset: Where the components and their published wheels are.
        stack: The components that were asked for, such as ``("vllm", "megatron")``.
        mode: ``--native``; None takes a wheel where one fits and leaves the component out where none does.
        python: The Python of the environment, ``"3.10"``.
        glibc: The C library of the machine; None where it is not known, which refuses no wheel.
        arch: The architecture of the machine, as in a wheel's platform tag.

    Raises:
        NativeBuildUnavailable: ``mode`` is ``build`` and there is something to build.
        NativeUnavailable: ``mode`` is ``prebuilt`` and no wheel of a component fits.
    """
    needed = [native for native in lockset.natives if _is_needed(native, stack)]
    if mode == "build" and needed:
        raise NativeBuildUnavailable([native.name for native in needed])
    return tuple(_choose(native, mode, python=python, glibc=glibc, arch=arch) for native in needed)


def _left_out(native: Native, why: str) -> str:
    """What a user must know of a component that is left out: what is missing, and how to get it."""
    ways = [f"pip install {wheel.url}" for wheel in native.prebuilt[:1]]
    ways += [f"a build from {native.build} (needs {', '.join(native.needs) or 'a compiler'})"] if native.build else []
    how = f"; to get it: {'; or: '.join(ways)}" if ways else ""
    return f"{native.name} {native.version} is left out: {why}{how}"


def _is_needed(native: Native, stack: Sequence[str]) -> bool:
    return not native.needed_for or any(component in native.needed_for for component in stack)


def _choose(native: Native, mode: NativeMode | None, *, python: str, glibc: str | None, arch: str) -> Build:
    if mode == "skip":
        return Build(native.name, native.version, "skip", "on request (--native skip)", needs=native.needs)
    reasons = []
    for wheel in native.prebuilt:
        reason = _misfit(wheel, python=python, glibc=glibc, arch=arch)
        if reason is None:
            return _prebuilt(native, wheel)
        reasons.append(reason)
    why = "; ".join(dict.fromkeys(reasons)) or "no wheel of it is published"
    left_out = Build(native.name, native.version, "skip", why, needs=native.needs, warnings=(_left_out(native, why),))
    if mode == "prebuilt":
        raise NativeUnavailable(left_out, why)
    return left_out


def _prebuilt(native: Native, wheel: Prebuilt) -> Build:
    unrecorded = f"{native.name}: no hash of its wheel is recorded (hash-unrecorded); it is taken as it is served"
    return Build(
        native.name,
        native.version,
        "prebuilt",
        f"published wheel {_wheel(wheel).file}",
        wheel=_wheel(wheel),
        needs=native.needs,
        warnings=() if wheel.sha256 else (unrecorded,),
    )


def _wheel(wheel: Prebuilt) -> Wheel:
    return Wheel(
        url=wheel.url,
        pythons=wheel.pythons,
        arch=None,
        torch=None,
        cuda=None,
        rocm=None,
        cxx11abi=None,
        gpus=(),
        glibc=wheel.glibc,
        sha256=wheel.sha256,
        source="the lockset",
    )


def _misfit(wheel: Prebuilt, *, python: str, glibc: str | None, arch: str) -> str | None:
    """Why a wheel does not fit, or None."""
    if python not in wheel.pythons:
        return f"its wheels are for Python {', '.join(wheel.pythons)}, not {python}"
    platform = _wheel(wheel).file.removesuffix(".whl").rsplit("-", 1)[-1]
    if platform != "any" and not platform.endswith(arch):
        return f"its wheel is for {platform}, not {arch}"
    if wheel.glibc and glibc and not at_least(glibc, wheel.glibc):
        return f"its wheel needs glibc {wheel.glibc}, and this machine has {glibc}"
    return None
