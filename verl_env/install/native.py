"""How each native component of a lockset gets into an environment: as a published wheel that fits, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.install.errors import NativeBuildUnavailable, NativeUnavailable
from verl_env.install.model import NativeChoice
from verl_env.versions import at_least

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.install.model import NativeMode
    from verl_env.locksets.model import Lockset, Native, Prebuilt


def choose_natives(
    lockset: Lockset, stack: Sequence[str], mode: NativeMode | None, *, python: str, glibc: str | None, arch: str
) -> tuple[NativeChoice, ...]:
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


def wheel_file(wheel: Prebuilt) -> str:
    """The file name of a published wheel, the last part of its address."""
    return wheel.url.partition("#")[0].rsplit("/", 1)[-1].replace("%2B", "+").replace("%2b", "+")


def left_out_warning(choice: NativeChoice) -> str:
    """What a user must know of a component that is left out: what is missing, and how to get it."""
    native = choice.native
    ways = [f"pip install {wheel.url}" for wheel in native.prebuilt[:1]]
    ways += [f"a build from {native.build} (needs {', '.join(native.needs) or 'a compiler'})"] if native.build else []
    how = f"; to get it: {'; or: '.join(ways)}" if ways else ""
    return f"{native.name} {native.version} is left out: {choice.reason}{how}"


def _is_needed(native: Native, stack: Sequence[str]) -> bool:
    return not native.needed_for or any(component in native.needed_for for component in stack)


def _choose(native: Native, mode: NativeMode | None, *, python: str, glibc: str | None, arch: str) -> NativeChoice:
    if mode == "skip":
        return NativeChoice(native, "skip", "on request (--native skip)")
    reasons = []
    for wheel in native.prebuilt:
        reason = _misfit(wheel, python=python, glibc=glibc, arch=arch)
        if reason is None:
            return NativeChoice(native, "prebuilt", f"published wheel {wheel_file(wheel)}", wheel)
        reasons.append(reason)
    why = "; ".join(dict.fromkeys(reasons)) or "no wheel of it is published"
    if mode == "prebuilt":
        raise NativeUnavailable(native, why)
    return NativeChoice(native, "skip", why)


def _misfit(wheel: Prebuilt, *, python: str, glibc: str | None, arch: str) -> str | None:
    """Why a wheel does not fit, or None."""
    if python not in wheel.pythons:
        return f"its wheels are for Python {', '.join(wheel.pythons)}, not {python}"
    platform = wheel_file(wheel).removesuffix(".whl").rsplit("-", 1)[-1]
    if platform != "any" and not platform.endswith(arch):
        return f"its wheel is for {platform}, not {arch}"
    if wheel.glibc and glibc and not at_least(glibc, wheel.glibc):
        return f"its wheel needs glibc {wheel.glibc}, and this machine has {glibc}"
    return None
