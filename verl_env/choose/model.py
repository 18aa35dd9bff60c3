"""What the chooser is asked, and what it answers."""

from __future__ import annotations

from verl_env.records import NOTHING, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from verl_env.components.model import Recipe, Wheel
    from verl_env.locksets.model import Lockset

    Outcome = Literal["met", "warned", "unknown", "failed"]
    NativeMode = Literal["prebuilt", "build", "skip"]


@record
class SiteRule:
    """What a configuration file says of locksets, by patterns of ids: ``only`` these (empty: all), ``forbid`` those."""

    file: str
    only: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()


@record
class Request:
    """What the user asks for; ``verl`` is a release or a prefix of one, ``python`` is ``"3.10"``.

    ``native`` is ``--native``: None takes a published wheel where one fits, else builds, else leaves out. ``wishes``
    are requirements as pip reads them (``"deepspeed>=0.16"``) that the environment must meet beside the stack.
    ``rules`` are those of the configuration. ``described`` are the flags that described the machine, each with its
    value, for the commands that messages name.
    """

    stack: tuple[str, ...]
    verl: str | None = None
    lockset: str | None = None
    python: str | None = None
    preview: bool = False
    native: NativeMode | None = None
    wishes: tuple[str, ...] = ()
    described: tuple[str, ...] = ()
    rules: tuple[SiteRule, ...] = ()

    @property
    def name(self) -> str:
        """The stack as it is written on the command line."""
        return "+".join(self.stack)


@record
class Verdict:
    """One requirement of a lockset against one machine.

    ``requirement`` is its kebab-case name (``driver``, ``compute-capability``, ``gfx``, ``glibc``, ``python``,
    ``arch``, ``accelerator``, ``platform``, ``rocm``, ``stack``, ``verl``, ``lockset``, ``preview``, ``tier``,
    ``with``, ``site``); ``message`` is a whole sentence with both values. ``unknown`` means that the machine does not
    say; it does not refuse the lockset. ``brief`` is the reason in few words, equal for verdicts that count together
    (``driver < 580``, ``sm_70``); ``subject`` is the component or file that needs it; ``devices`` are the indices of
    the GPUs that it is about, where it is not about all.
    """

    requirement: str
    outcome: Outcome
    need: str
    have: str | None
    message: str
    brief: str = ""
    subject: str | None = None
    devices: tuple[int, ...] = ()


@record
class Evaluation:
    """Every verdict on one lockset."""

    lockset: Lockset
    verdicts: tuple[Verdict, ...]

    @property
    def failed(self) -> tuple[Verdict, ...]:
        """The verdicts that refuse it."""
        return tuple(verdict for verdict in self.verdicts if verdict.outcome == "failed")

    @property
    def fits(self) -> bool:
        """Whether nothing refuses it."""
        return not self.failed


@record
class Choice:
    """The lockset that won, the Python it is for, what to be warned of, and every other evaluation.

    ``builds`` say how each native component gets in, in the order of installation. ``extras`` are the wishes that the
    lock does not meet by itself, to be installed under its constraints. ``passed`` are the locksets and Pythons that
    come before the chosen one and were given up, as a native component cannot be had there.
    """

    lockset: Lockset
    python: str
    interpreter: str | None
    warnings: tuple[str, ...]
    evaluation: Evaluation
    others: tuple[Evaluation, ...]
    builds: tuple[Build, ...] = ()
    extras: tuple[str, ...] = ()
    passed: tuple[PassedOver, ...] = ()

    @property
    def refused(self) -> tuple[Evaluation, ...]:
        """The locksets that do not fit."""
        return tuple(other for other in self.others if not other.fits)


@record
class Refusal:
    """Nothing fits: every evaluation, the nearest with what would have to change, and the ways on, as commands.

    ``command`` plans the nearest as it would be with those changes: it was tried; None where no flag makes them.
    ``elsewhere`` says that it describes another machine. ``uncovered`` are sentences on what no lockset holds although
    the machine would run it.
    """

    evaluations: tuple[Evaluation, ...]
    nearest: Evaluation | None
    changes: tuple[str, ...]
    hints: tuple[str, ...] = ()
    command: str | None = None
    elsewhere: bool = False
    uncovered: tuple[str, ...] = ()


@record
class Rejected:
    """A way to get a component that was not taken (a wheel, or a build from a source), and why, in words."""

    what: str
    reason: str


@record
class Missing:
    """A component that cannot be had in an environment: every way to get it, and why not."""

    name: str
    version: str
    rejected: tuple[Rejected, ...]


@record
class PassedOver:
    """A lockset on a Python that fits, but in which native components cannot be had."""

    lockset: Lockset
    python: str
    missing: tuple[Missing, ...]


@record
class VersionDeviation:
    """Why a component comes in another version than the lockset names.

    ``locked`` is that of the lockset; ``reason`` says why it is not taken; ``accepted`` who takes the other one, each
    with what it says (``"transformer-engine: up to 2.8.3"``).
    """

    locked: str
    reason: str
    accepted: tuple[str, ...]


@record
class Build:
    """How one native component gets in, decided by the resolver: one wheel, one recipe, or left out.

    ``rejected`` are the ways that do not fit; ``warnings`` what is not known of the way that was taken (no hash
    recorded, the machine does not state its nvcc); ``needs`` is what a build of it asks of the machine, in words,
    whichever way was taken. ``others`` are the further ways that fit, the preferred first, should this one fail;
    ``required`` says that the component must not be left out then. ``deviation`` is there where the version is not the
    lockset's. ``after`` are the components that it is of no use without and that get in before it. ``unreached`` are,
    of a component that is left out, the addresses of ways that fit and from which nothing can be had.
    """

    name: str
    version: str
    how: NativeMode
    reason: str
    wheel: Wheel | None = None
    recipe: Recipe | None = None
    env: Mapping[str, str] = NOTHING
    needs: tuple[str, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    warnings: tuple[str, ...] = ()
    others: tuple[Build, ...] = ()
    required: bool = False
    deviation: VersionDeviation | None = None
    after: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """Where its file comes from, as in ``address_of``."""
        return address_of(self.name, self.version, self.wheel, self.recipe)

    @property
    def way(self) -> str:
        """What tells this way from the others: the version, and the wheel's address or the source it is built from."""
        if self.wheel is not None and self.wheel.is_file:
            return f"{self.version} from the wheel sha256:{self.wheel.sha256}"  # wherever it lies
        if self.wheel is not None:
            return f"{self.version} from {self.wheel.url}"
        return f"{self.version} built from {self.recipe.source}" if self.recipe is not None else "left out"


def address_of(name: str, version: str, wheel: Wheel | None, recipe: Recipe | None) -> str:
    """Where a way gets its file from: an address, ``git+URL@REF``, or ``sdist:NAME==VERSION`` for the package index."""
    if wheel is not None:
        return wheel.url
    source = "" if recipe is None else recipe.source
    return f"sdist:{name}=={version}" if source == "sdist" else source
