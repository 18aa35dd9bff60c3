"""Native components that are added to an environment: by the resolver of native components, not from an index.

An index gives flash-attn as a source archive, which does not build in isolation, or as a wheel of which only the name
says what torch it is for. The resolver picks what is made for the lockset, the Python and the machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.additions.errors import ComponentMissingError, ComponentUnfitError
from verl_env.additions.recorded import component_wishes
from verl_env.choose.choose import choose
from verl_env.choose.errors import NativeUnavailableError
from verl_env.choose.model import Choice, Request
from verl_env.components.housed import with_wheels
from verl_env.components.load import load_catalogue as load_components
from verl_env.errors import UsageError
from verl_env.install.houses import houses
from verl_env.install.inspect import inspect
from verl_env.install.parts import Parts
from verl_env.install.prepare import prepare
from verl_env.locksets.catalogue import load_catalogue, packages_of
from verl_env.machine.model import UNKNOWN, Amd, Nvidia
from verl_env.plans.compare import brings_wheel
from verl_env.plans.plan import VERL, make_plan
from verl_env.plans.reuse import keepable
from verl_env.records import record, replace

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from verl_env.additions.environment import Opened
    from verl_env.additions.model import ExtraRequirement
    from verl_env.builds.tools import Tools
    from verl_env.choose.model import Build
    from verl_env.environment.change import NewGeneration
    from verl_env.environment.state import State
    from verl_env.installers.options import Options
    from verl_env.machine.model import Machine
    from verl_env.plans.inspection import Inspection
    from verl_env.plans.model import Plan
    from verl_env.plans.reporter import Reporter


@record
class Components:
    """Components that are to be added, as a plan for them alone, and all that a plan needs to be carried out."""

    builds: tuple[Build, ...]
    plan: Plan
    options: Options
    seen: Inspection
    tools: Tools
    digest: str


def without_hashes(wishes: Sequence[ExtraRequirement]) -> tuple[ExtraRequirement, ...]:
    """Native components that were asked for: the file depends on the machine, and the catalogue has its hash.

    Raises:
        UsageError: one of them carries hashes of its own.
    """
    if hashed := [wish.text for wish in wishes if wish.hashes]:
        reason = f"{', '.join(hashed)}: a native component's file is chosen for this machine, by the catalogue's hashes"
        raise UsageError(f"{reason}: leave --hash out", command="verl-env find --help")
    return tuple(wishes)


def are_components(wishes: Sequence[ExtraRequirement]) -> tuple[ExtraRequirement, ...]:
    """Those of some wishes that name a native component, and not a file or an address of one."""
    known = load_components().components
    return tuple(wish for wish in wishes if wish.name in known and "@" not in wish.text)


def choose_components(
    opened: Opened, wishes: Sequence[ExtraRequirement], machine: Machine, options: Options
) -> Components:
    """Decides how components get into an environment, and makes sure that what this needs is there.

    A component that an index serves as well for this environment (SGLang for CUDA) has no build here.

    Raises:
        ComponentUnfitError: the environment's lockset has another version, or does not fit the machine.
        ComponentMissingError: there is no wheel and no build that fits.
        BuildImpossibleError: one is to be built, and this host cannot build it.
    """
    state = opened.state
    texts = dict.fromkeys([*component_wishes(state), *(wish.text for wish in wishes)])
    request = Request(
        tuple(state.stack.split("+")), lockset=state.lockset, python=state.python, preview=True, wishes=tuple(texts)
    )
    machine = _or_unknown(machine)
    asked = [wish.text for wish in wishes]
    try:
        components = with_wheels(load_components(), *houses(opened.target, options))
        choice = choose(load_catalogue(), machine, request, components=components)
    except NativeUnavailableError as error:
        raise ComponentMissingError(asked, state, error) from error
    if not isinstance(choice, Choice):
        raise ComponentUnfitError(asked, state, choice)
    options = replace(options, machine=machine)
    packages = packages_of(choice.lockset, choice.python)
    with_verl = state.verl_source is None and VERL in opened.pins
    plan = make_plan(choice, packages, request, machine, verl_source=state.verl_source, with_verl=with_verl)
    digest = inspect(plan, opened.target, options).digest
    names = with_parts({wish.name for wish in wishes if wish.name}, choice.builds)
    needed = tuple(build for build in choice.builds if build.name in names or not brings_wheel(build))
    alone = replace(plan, natives=needed)
    seen = inspect(alone, opened.target, options)
    tools = prepare(alone, opened.target, options, seen)
    builds = tuple(build for build in needed if build.name in names)
    return Components(builds, alone, options, seen, tools, digest)


def with_parts(names: Collection[str], builds: Sequence[Build]) -> set[str]:
    """Components with those that they are of no use without."""
    return {*names, *(part for build in builds if build.name in names for part in build.after)}


def _or_unknown(machine: Machine) -> Machine:
    """The machine; where it has no GPU, as a login node, nobody knows which ones the environment is for."""
    if isinstance(machine.nvidia, Nvidia) or isinstance(machine.amd, Amd):
        return machine
    return replace(machine, nvidia=UNKNOWN, amd=UNKNOWN)


def install_components(
    chosen: Components, opened: Opened, work: NewGeneration, reporter: Reporter, *, anew: Collection[str] = ()
) -> Parts:
    """Fetches or builds the components, checks them, and installs them into a new generation.

    Args:
        chosen: The components.
        opened: The environment.
        work: The new generation.
        reporter: Who is told.
        anew: Names of those that are not kept, whole as they may look.

    Returns:
        What says which ways were taken.

    Raises:
        NativeUnobtainableError: a wheel is not to be had.
        NativeMismatchError: a wheel is not what it says.
        NativeBuildFailedError: one did not build.
    """
    whole = keepable(opened.generation, opened.state.python, chosen.seen.want)
    kept = tuple(each for each in whole if each.name not in anew)
    places = (work.path, work.stage)
    parts = Parts(chosen.plan, chosen.options, reporter, chosen.tools, places, kept=kept, seen=chosen.seen)
    for build in chosen.builds:
        reporter.note(f"{build.name} {build.version}: {build.reason}")
        parts.native(build)
    return parts


def with_components(state: State, chosen: Components, parts: Parts) -> State:
    """The record of an environment with the components that were added to it, as an installation would record them."""
    names = {build.name for build in chosen.builds}
    built = {name: way.version for name, way in parts.taken.items() if way.how == "build" and brings_wheel(way)}
    return replace(
        state,
        digest=chosen.digest,
        left_out={name: reason for name, reason in state.left_out.items() if name not in names},
        built={**state.built, **built},
        ways={**state.ways, **{name: way.way for name, way in parts.taken.items()}},
        facts={**state.facts, **parts.facts},
        digests=parts.digests,
        deviations=_deviations(state, parts),
    )


def _deviations(state: State, parts: Parts) -> dict[str, str]:
    """Those that are recorded, without the ones of components that were made anew, and with theirs."""
    before = {name: locked for name, locked in state.deviations.items() if name not in parts.taken}
    return before | {name: way.deviation.locked for name, way in parts.taken.items() if way.deviation is not None}


def without_components(state: State, names: Collection[str]) -> State:
    """The record of an environment from which packages were taken out, components among them."""
    kept = {
        kind: {name: value for name, value in getattr(state, kind).items() if name not in names}
        for kind in ("built", "ways", "facts", "deviations")
    }
    return replace(state, **kept)
