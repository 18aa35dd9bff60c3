"""The ways that were decided on, as builds: in the order of installation, with reasons and warnings."""

from __future__ import annotations

from verl_env.choose.model import Build, Missing, VersionDeviation, address_of
from verl_env.choose.resolver.candidates import native_of
from verl_env.choose.resolver.facts import ARCH, CAPABILITY, GFX, HEADERS, REACH
from verl_env.choose.resolver.ranges import ruled_out
from verl_env.choose.resolver.words import bounds, doubt_words, need_words
from verl_env.choose.words import missing_words
from verl_env.components.toolchain import compiler_words
from verl_env.records import NOTHING
from verl_env.texts import listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from verl_env.choose.model import NativeMode, Rejected
    from verl_env.choose.resolver.examine import Examiner
    from verl_env.choose.resolver.model import ComponentCandidate, ComponentRequirement
    from verl_env.components.model import Range

#: Facts that are judged for the lockset already, or that nobody needs to be told of.
_SILENT = {ARCH, CAPABILITY, GFX, HEADERS}
#: How many compilers a build starts: by the memory of the machine, not as the image's had it.
_JOBS = "MAX_JOBS"


def in_order(
    ways: Iterable[ComponentCandidate], wants: Sequence[ComponentRequirement]
) -> tuple[ComponentCandidate, ...]:
    """What others are built with before them; else as the lockset lists them."""
    by_name = {way.name: way for way in ways}
    done: dict[str, ComponentCandidate] = {}
    for want in wants:
        _visit(want.name, by_name, done, set())
    return tuple(done.values())


def build_of(
    way: ComponentCandidate,
    want: ComponentRequirement,
    examiner: Examiner,
    elsewhere: Sequence[str] = (),
    *,
    others: Sequence[ComponentCandidate] = (),
    beside: Sequence[ComponentCandidate] = (),
    required: bool = False,
) -> Build:
    """How a component gets in.

    Args:
        way: What was decided on.
        want: What it was decided for.
        examiner: Of the chosen environment; it knows ``--native``.
        elsewhere: Other Pythons of the lockset on which the component can be had.
        others: Further ways, the preferred first.
        beside: What is decided of the other components.
        required: Whether it must not be left out.
    """
    mode = examiner.mode
    rejected = () if mode == "skip" else (*examiner.rejected(want), *_ruled_out(way, want, examiner, beside))
    missing = _missing(want, rejected, examiner) if way.how == "skip" and mode is None else None
    wheels = [each for each in examiner.ways(want) if each.how == "prebuilt"]
    return Build(
        way.name,
        way.version,
        way.how,
        _reason(way, missing, mode, f"no published wheel {'fits' if wheels else 'is known'}"),
        wheel=way.wheel,
        recipe=way.recipe,
        env=_variables(way),
        needs=_needs(way),
        rejected=rejected,
        warnings=tuple(_warnings(way, missing, examiner, elsewhere)),
        others=tuple(_other(each, examiner) for each in others),
        required=required,
        deviation=_deviation(way, rejected),
        after=_after(way),
        unreached=tuple(_unreached(want, examiner)) if way.how == "skip" else (),
    )


def _ruled_out(
    way: ComponentCandidate, want: ComponentRequirement, examiner: Examiner, beside: Sequence[ComponentCandidate]
) -> tuple[Rejected, ...]:
    """The versions before the one that was decided on that could be had, and that do not go with the others."""
    found: dict[Rejected, None] = {}
    for each in examiner.ways(want):
        if each is way or each.how == "skip":
            break
        if examiner.fits(each):
            found |= dict.fromkeys(ruled_out(each, beside))
    return tuple(found)


def _missing(want: ComponentRequirement, rejected: tuple[Rejected, ...], examiner: Examiner) -> Missing | None:
    """Why a component is left out: it cannot be had, or not beside the others."""
    return examiner.missing(want) or (Missing(want.name, want.version or "", rejected) if rejected else None)


def _other(way: ComponentCandidate, examiner: Examiner) -> Build:
    """A further way, for when the one that was decided on fails."""
    return Build(
        way.name,
        way.version,
        way.how,
        _source_words(way),
        wheel=way.wheel,
        recipe=way.recipe,
        env=_variables(way),
        needs=_needs(way),
        warnings=tuple(_warnings(way, None, examiner, ())),
        after=_after(way),
        deviation=_deviation(way, ()),
    )


def _variables(way: ComponentCandidate) -> Mapping[str, str]:
    """What the image sets for a build, but for how many jobs and which GPUs: those are of the machine."""
    native = native_of(way.environment.lockset, way.name)
    if way.recipe is None or native is None:
        return NOTHING
    own = {_JOBS, way.recipe.arch_variable}
    return {name: value for name, value in native.env.items() if name not in own}


def _deviation(way: ComponentCandidate, rejected: Sequence[Rejected]) -> VersionDeviation | None:
    """Why it comes in another version than the lockset names, where it does."""
    if way.instead_of is None:
        return None
    wheels = [each for each in rejected if not each.what.startswith("a build")]
    why = "; ".join(f"{each.what}: {each.reason}" for each in wheels) or "should none of its wheels be had"
    return VersionDeviation(way.instead_of, why, tuple(map(_accepts, way.taken_by)))


def _accepts(words: Range) -> str:
    unlimited = words.least is None and words.most is None and words.below is None
    return f"{words.user}: {'no limit' if unlimited else bounds(words)} ({words.source})"


def _after(way: ComponentCandidate) -> tuple[str, ...]:
    """The components without which a wheel is of no use; what a build is built upon is the build's own affair."""
    return tuple(want.name for want in way.after) if way.wheel is not None else ()


def _unreached(want: ComponentRequirement, examiner: Examiner) -> Iterator[str]:
    """The addresses of the ways in whose way nothing is but that nothing can be had from there."""
    for way in examiner.ways(want):
        if {need.name for need in examiner.unmet(way)} == {REACH}:
            yield address_of(way.name, way.version, way.wheel, way.recipe)


def _visit(
    name: str, ways: Mapping[str, ComponentCandidate], done: dict[str, ComponentCandidate], above: set[str]
) -> None:
    """Depth first; a component that needs itself, by way of others, is not gone into twice."""
    way = ways.get(name)
    if way is None or name in done or name in above:
        return
    for want in way.after:
        _visit(want.name, ways, done, above | {name})
    done[name] = way


def _reason(way: ComponentCandidate, missing: Missing | None, mode: NativeMode | None, why_built: str) -> str:
    if way.recipe is not None:
        product = "" if way.recipe.product == "wheel" else "; only for the builds that need it"
        why = "--native build" if mode == "build" else why_built
        return f"{_source_words(way)}: {why}{product}"
    if way.wheel is not None:
        instead = f"; in place of {way.instead_of}, of which no wheel fits" if way.instead_of else ""
        return f"{_source_words(way)}{instead}"
    return missing_words(missing) if missing is not None else "on request (--native skip)"


def _source_words(way: ComponentCandidate) -> str:
    """What a component comes from."""
    if way.recipe is None:
        if way.wheel is None:
            return ""
        kind = "wheel of the index" if way.wheel.on_index else "given wheel" if way.wheel.is_file else "published wheel"
        return f"{kind} {way.wheel.file}"
    time = f" (about {way.recipe.minutes} minutes on 16 cores)" if way.recipe.minutes else ""
    tool = f" with nvcc {way.compiler} of the index" if way.compiler else ""
    return f"built from {way.recipe.source}{tool}{time}"


def _needs(way: ComponentCandidate) -> tuple[str, ...]:
    return tuple(need_words(need) for need in way.needs if need.why) if way.recipe is not None else ()


def _warnings(
    way: ComponentCandidate, missing: Missing | None, examiner: Examiner, elsewhere: Sequence[str]
) -> Iterator[str]:
    if missing is not None:
        more = _to_get_it(missing, elsewhere, way.environment.lockset.cuda)
        yield f"{way.name} {way.version} is left out: {missing_words(missing)}{more}"
    if way.instead_of is not None:
        users = listed(each.user for each in way.taken_by)
        yield (
            f"{way.name} {way.version} stands in for {way.instead_of} of the lockset, a deviation from its image: "
            f"{users} take it by their own word"
        )
    if way.wheel is not None and way.wheel.sha256 is None:
        yield f"{way.name}: no hash of its wheel is recorded (hash-unrecorded); it is taken as it is served"
    if way.wheel is not None and not way.wheel.address_confirmed:
        yield (
            f"{way.name}: its wheel has been moved since its address was recorded; where it is not there, put "
            f"{way.wheel.file} into a directory: --wheelhouse DIR"
        )
    doubts = [need for need in examiner.doubts(way) if need.name not in _SILENT]
    yield from (f"{way.name} {way.version}: {words}" for words in doubt_words(doubts))


def _to_get_it(missing: Missing, elsewhere: Sequence[str], cuda: str | None) -> str:
    """The ways on: another Python of the lockset, a compiler that the index lacks."""
    ways = [f"--python {python}" for python in elsewhere]
    if words := compiler_words(cuda if any("needs nvcc" in each.reason for each in missing.rejected) else None):
        ways.append(words)
    return f"; to get it: {'; or: '.join(ways)}" if ways else ""
