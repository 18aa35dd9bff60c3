"""What is resolved: candidates and the requirements between them.

Facts of the machine are packages of their own, with one candidate each: ``<nvcc>``, ``<glibc>``. An environment (a
lockset on a Python) sets others: ``<python>``, ``<torch>``. The ways of a component, each wheel and each recipe,
require them, so that a wheel for another torch and a missing compiler are conflicts like any other.
"""

from __future__ import annotations

from verl_env.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from verl_env.choose.model import NativeMode
    from verl_env.components.model import Range, Recipe, Wheel
    from verl_env.locksets.model import Lockset
    from verl_env.machine.model import Unknown

    Value: TypeAlias = str | tuple[str, ...] | Unknown | None
    Requirement: TypeAlias = (
        "EnvironmentRequirement | FactSetting | Need | ComponentRequirement | RequestedPackage | AcceptedRange | Beside"
    )
    Candidate: TypeAlias = "Environment | Fact | ComponentCandidate | PinnedDistribution"

#: The name of the candidates that are locksets on a Python.
ENVIRONMENT = "<environment>"


@record
class Fact:
    """The one candidate of a pseudo-package; a tuple holds what each of several GPUs is."""

    name: str
    value: Value


@record
class Environment:
    """A candidate: a lockset on one of its Pythons, and the interpreter that would make it, where there is one."""

    lockset: Lockset
    python: str
    interpreter: str | None = None

    @property
    def name(self) -> str:
        """What every environment is called: there is one."""
        return ENVIRONMENT


@record
class ComponentCandidate:
    """A candidate: one way to get one version of a component into an environment.

    ``needs`` are its conditions on facts, ``after`` the components that must be built before, ``takes`` which versions
    of the others it takes, ``related`` the others of which it says so or that say so of it. ``instead_of`` is the
    version that the lockset names where this one stands in for it, ``taken_by`` those who say that they take it;
    ``compiler`` the version of the nvcc that the index gives, where the machine has none that fits.
    """

    name: str
    version: str
    environment: Environment
    how: NativeMode
    wheel: Wheel | None = None
    recipe: Recipe | None = None
    needs: tuple[Need, ...] = ()
    after: tuple[ComponentRequirement, ...] = ()
    compiler: str | None = None
    instead_of: str | None = None
    taken_by: tuple[Range, ...] = ()
    takes: tuple[AcceptedRange, ...] = ()
    related: tuple[str, ...] = ()


@record
class PinnedDistribution:
    """A candidate: an ordinary package, as the lock pins it; ``version`` None where the lock does not hold it."""

    name: str
    version: str | None


@record
class EnvironmentRequirement:
    """The requirement that there be an environment."""

    name: str = ENVIRONMENT


@record
class FactSetting:
    """An environment sets a fact."""

    name: str
    value: Value


@record
class Need:
    """A condition on a fact: at least ``least``, before ``below``, one ``among`` several; all that are given.

    On GPUs, ``among`` are the targets that there is code for, and every GPU must run one of them. ``why`` says where
    the condition comes from, where its fact does not. ``perhaps``: nobody knows whether it must hold.
    """

    name: str
    among: tuple[str, ...] = ()
    least: str | None = None
    below: str | None = None
    why: str = ""
    perhaps: bool = False


@record
class ComponentRequirement:
    """An environment, or a build in it, requires a component.

    ``version`` is that of the lockset; None leaves it to ``specifier`` (as in a requirement, ``">=2.8"``).
    ``optional``: it may be left out where there is no way.
    """

    name: str
    environment: Environment
    version: str | None = None
    specifier: str = ""
    optional: bool = False


@record
class RequestedPackage:
    """An environment must hold an ordinary package that the user asked for."""

    name: str
    environment: Environment
    specifier: str = ""


@record
class AcceptedRange:
    """A candidate takes only some versions of a component, where the environment has it.

    ``own``: the version that it takes in any case, as the lockset has both.
    """

    name: str
    environment: Environment
    words: Range
    own: str | None = None


@record
class Beside:
    """What comes of a component has to go with a way that was chosen of another."""

    name: str
    way: ComponentCandidate

    @property
    def environment(self) -> Environment:
        """That of the way."""
        return self.way.environment
