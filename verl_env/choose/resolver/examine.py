"""Every way of a component in one environment, with all that is in its way: a resolver stops at the first."""

from __future__ import annotations

from verl_env.choose.model import Missing, Rejected
from verl_env.choose.resolver.facts import TOOLS, met, tool_fact
from verl_env.choose.resolver.words import absent_words, build_rejected, obstacle_words, wheels_rejected
from verl_env.choose.words import missing_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping, Sequence

    from verl_env.choose.model import NativeMode
    from verl_env.choose.resolver.model import ComponentCandidate, ComponentRequirement, Fact, Need, Value

_TOOLS = frozenset(map(tool_fact, TOOLS))


class Examiner:
    """Looks at every way of a want.

    Args:
        facts: Every fact: those of the machine, and those that the environment sets.
        ways: The ways of a want.
        mode: ``--native``, which says what is no way in any case.
    """

    def __init__(
        self,
        facts: Mapping[str, Fact],
        ways: Callable[[ComponentRequirement], Sequence[ComponentCandidate]],
        mode: NativeMode | None = None,
    ) -> None:
        self.facts = facts
        self.ways = ways
        self.mode = mode

    def fits(self, way: ComponentCandidate, above: tuple[str, ...] = ()) -> bool:
        """Whether all that a way requires is met or not known; ``above`` are the components that it is built for."""
        return not self.unmet(way) and all(self._is_had(want, (*above, way.name)) for want in way.after)

    def unmet(self, way: ComponentCandidate) -> list[Need]:
        """The conditions that are known not to hold."""
        return [need for need in way.needs if met(need, self._value(need)) is False]

    def doubts(self, way: ComponentCandidate) -> list[Need]:
        """The conditions of which nobody knows."""
        return [need for need in way.needs if met(need, self._value(need)) is None]

    def others(
        self, way: ComponentCandidate, want: ComponentRequirement, present: Container[str]
    ) -> tuple[ComponentCandidate, ...]:
        """The further ways that fit, the preferred first, once the components ``present`` are there."""
        fitting = (each for each in self.ways(want) if each.how != "skip" and each is not way and self.fits(each))
        return tuple(each for each in fitting if all(after.name in present for after in each.after))

    def rejected(self, want: ComponentRequirement, above: tuple[str, ...] = ()) -> tuple[Rejected, ...]:
        """Every way that does not fit; wheels that one fact keeps out are told together."""
        ways = [way for way in self.ways(want) if way.how != "skip"]
        wheels = [way for way in ways if way.how == "prebuilt" and way.instead_of is None]
        near = [way for way in ways if way.instead_of is not None]
        builds = [way for way in ways if way.how == "build" and not self.fits(way, above)]
        told = (*self._wheels(want.name, wheels), *self._near(want.name, near))
        return (*told, *(build_rejected(way, self._obstacles(way, above)) for way in builds))

    def is_had(self, want: ComponentRequirement) -> bool:
        """Whether some way of a component fits; without the reasons, which take longer to word than to find."""
        return self._is_had(want, ())

    def missing(self, want: ComponentRequirement, above: tuple[str, ...] = ()) -> Missing | None:
        """Why a component cannot be had; None where it can."""
        ways = self.ways(want)
        if any(way.how != "skip" and self.fits(way, above) for way in ways):
            return None
        absent = self._absent({way.how for way in ways})
        return Missing(want.name, want.version or want.specifier, (*absent, *self.rejected(want, above)))

    def _absent(self, known: Container[str]) -> Iterator[Rejected]:
        """The kinds of ways that there are none of, or that ``--native`` leaves out."""
        if self.mode == "skip":
            yield Rejected("--native skip leaves it out", "")
        if self.mode in (None, "prebuilt") and "prebuilt" not in known:
            yield Rejected("no wheel of it is known", "")
        if self.mode in (None, "build") and "build" not in known:
            yield Rejected("no build of it is known", "")

    def _value(self, need: Need) -> Value:
        fact = self.facts.get(need.name)
        return fact.value if fact is not None else None

    def _is_had(self, want: ComponentRequirement, above: tuple[str, ...]) -> bool:
        return want.name not in above and any(way.how != "skip" and self.fits(way, above) for way in self.ways(want))

    def _near(self, name: str, ways: Sequence[ComponentCandidate]) -> Iterator[Rejected]:
        """Those of later releases: only where none fits, as they say nothing of the version that is asked for."""
        if all(self.unmet(way) for way in ways):
            for version in dict.fromkeys(way.version for way in ways):
                yield from self._wheels(f"{name} {version}", [way for way in ways if way.version == version])

    def _wheels(self, name: str, ways: Sequence[ComponentCandidate]) -> Iterator[Rejected]:
        groups: dict[str, list[tuple[ComponentCandidate, Need]]] = {}
        for way in ways:
            unmet = self.unmet(way)
            if unmet:
                groups.setdefault(unmet[0].name, []).append((way, unmet[0]))
        for group in groups.values():
            needs = [need for _, need in group]
            yield wheels_rejected(name, [way for way, _ in group], needs, self._value(needs[0]))

    def _obstacles(self, way: ComponentCandidate, above: tuple[str, ...]) -> Iterator[str]:
        unmet = self.unmet(way)
        for name in dict.fromkeys(need.name for need in unmet):
            same = [need for need in unmet if need.name == name]
            if name in _TOOLS and self._value(same[0]) is None:
                yield absent_words(same)
            else:
                yield from (obstacle_words(need, self._value(need)) for need in same)
        for want in way.after:
            if not self._is_had(want, (*above, way.name)):
                missing = self.missing(want, (*above, way.name)) if want.name not in above else None
                yield f"needs {want.name} first ({missing_words(missing) if missing else 'which needs it in turn'})"
