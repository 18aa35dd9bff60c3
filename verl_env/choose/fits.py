"""Which GPUs the code of a component runs on: compute capabilities and PTX, or gfx targets."""

from __future__ import annotations

from verl_env.choose.compare import gfx_numbers
from verl_env.choose.words import component_name
from verl_env.machine.gpu_code import Fit, cuda_code, gfx_code, needs_own_code
from verl_env.records import record
from verl_env.versions import capability

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from verl_env.locksets.model import GpuNeed, Lockset

#: Compute capabilities of NVIDIA's products other than Jetson, to say which GPUs a lockset runs on.
#: Source: the tables of current and legacy GPUs on NVIDIA's developer site.
CAPABILITIES = ("6.0", "6.1", "7.0", "7.5", "8.0", "8.6", "8.9", "9.0", "10.0", "10.3", "12.0", "12.1")


@record
class FitSubject:
    """A component and its name; ``optional`` where no stack was asked for and only some of its stacks need it."""

    need: GpuNeed
    name: str
    optional: bool


def subjects(lockset: Lockset, stack: Sequence[str], *, natives: bool = True) -> Iterator[FitSubject]:
    """The components of a lockset that a stack needs; every component where no stack is asked for.

    Without ``natives``, native components are left out and limit nothing.
    """
    left_out = () if natives else {native.name for native in lockset.natives}
    scopes = {native.name: native.needed_for for native in lockset.natives if native.needed_for}
    for need in lockset.requires.gpu:
        name = need.component.partition(" ")[0]
        scope = scopes.get(name, ())
        if name in left_out:
            continue
        if not (scope and stack) or not set(scope).isdisjoint(stack):
            yield FitSubject(need, component_name(lockset, need.component), optional=bool(scope) and not stack)


def supported_gpus(lockset: Lockset, stack: Sequence[str] = ()) -> tuple[str, ...]:
    """The compute capabilities or gfx targets that every component of a stack has code for, without PTX.

    Empty where the lockset states nothing. Components that only a part of its stacks needs do not count unless that
    part is asked for.
    """
    needs = [subject.need for subject in subjects(lockset, stack) if not subject.optional]
    if not needs:
        return ()
    if lockset.accelerator == "cuda":
        return tuple(cc for cc in CAPABILITIES if all(cuda_fit(need, cc) is Fit.NATIVE for need in needs))
    known = dict.fromkeys(target for need in needs for target in need.targets)
    return tuple(gfx for gfx in known if all(gfx_fit(need, gfx) is Fit.NATIVE for need in needs))


def cuda_fit(need: GpuNeed, target: str) -> Fit:
    """How a component runs on a compute capability; its PTX, where it has some, is that of its highest target."""
    have = capability(target)
    least = capability(need.minimum) if need.minimum else None
    if have is None or (least is not None and have[:2] < least[:2]):
        return Fit.NONE
    if not need.targets:
        return Fit.NONE if needs_own_code(target) else Fit.NATIVE
    highest = max(need.targets, key=lambda text: capability(text) or (0, 0, "a"))
    return cuda_code(need.targets, (highest,) if need.ptx else (), target)


def gfx_fit(need: GpuNeed, target: str) -> Fit:
    """How a component runs on a gfx target: with code for exactly that, or, where only a least is known, from it on.

    A least target bounds only its own major: RDNA (gfx10 to gfx12) is no later CDNA (gfx9).
    """
    if need.targets:
        return Fit.NATIVE if gfx_code(need.targets, target) else Fit.NONE
    if need.minimum is None:
        return Fit.NATIVE
    least, have = gfx_numbers(need.minimum), gfx_numbers(target)
    if least is None or have is None:
        return Fit.NONE
    return Fit.NATIVE if have[0] == least[0] and have >= least else Fit.NONE
