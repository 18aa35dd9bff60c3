"""What is looked for, and what is found."""

from __future__ import annotations

from verl_env.machine.model import UNKNOWN
from verl_env.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from verl_env.choose.resolver.model import Value
    from verl_env.components.model import Recipe, Wheel, WheelIndex
    from verl_env.locksets.model import Accelerator


@record
class World:
    """What a wheel must be for: torch, its CUDA or ROCm, Python and C++ ABI; what nobody stated is UNKNOWN.

    ``assumed`` says where a value comes from that was not given.
    """

    accelerator: Accelerator
    torch: Value = UNKNOWN
    cuda: Value = UNKNOWN
    rocm: Value = UNKNOWN
    python: Value = UNKNOWN
    abi: Value = UNKNOWN
    assumed: tuple[str, ...] = ()


@record
class Reason:
    """One condition that does not hold, or of which nobody knows: the fact, both values, and a sentence."""

    fact: str
    need: str
    have: str | None
    message: str


@record
class Found:
    """One way: a wheel or a build of one version, with everything that is in its way.

    ``fits`` is None where only reading the file can tell (``doubts``); ``unstated`` are facts that it depends on and
    that nobody stated.
    """

    version: str
    how: Literal["wheel", "build"]
    wheel: Wheel | None
    recipe: Recipe | None
    fits: bool | None
    reasons: tuple[Reason, ...] = ()
    doubts: tuple[Reason, ...] = ()
    unstated: tuple[str, ...] = ()


@record
class Findings:
    """The wheels and builds of a component, the best first, and the indexes that may have more."""

    name: str
    specifier: str
    world: World
    wheels: tuple[Found, ...]
    builds: tuple[Found, ...]
    indexes: tuple[WheelIndex, ...]

    @property
    def best(self) -> Found | None:
        """The first wheel that fits, else one that may, else the first build that does; None where nothing does."""
        ways = (*self.wheels, *self.builds)
        return next((each for wanted in (True, None) for each in ways if each.fits is wanted), None)
