"""Native components that verl trains with and that are not there: what stops in this release of it, and what helps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.components.without import without
from verl_env.doctor.checks.functions import finds
from verl_env.doctor.commands import remedy
from verl_env.doctor.model import Fix, Hit, Remedy
from verl_env.install.completeness import Lacking, options_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from verl_env.doctor.facts import Facts
    from verl_env.doctor.model import Severity

FLASH_ATTN = "flash-attn"


@finds("flash-attn-absent")
def _flash_attn(facts: Facts) -> Hit | None:
    """By the record of the environment, else by the release of verl that is installed."""
    recorded = [each for each in _lacking(facts) if each.name == FLASH_ATTN]
    if recorded:
        return _hit(facts, recorded)
    release = facts.packages.get("verl")
    if not facts.absent(FLASH_ATTN) or not release or facts.rocm_torch:
        return None
    if facts.target is not None and any("flash_attn_2" in shared.path for shared in facts.target.objects):
        return None
    row = without(FLASH_ATTN, release)
    if row is None or not row.stops:
        return None
    missing = Lacking(FLASH_ATTN, "", "", row.stops, release, row.options, row.critic, row.seen)
    return Hit(_evidence(facts, [missing]), severity=_severity(facts), remedy=_build(facts, missing))


@finds("component-left-out")
def _others(facts: Facts) -> Hit | None:
    found = [each for each in _lacking(facts) if each.name != FLASH_ATTN]
    return _hit(facts, found) if found else None


def _lacking(facts: Facts) -> tuple[Lacking, ...]:
    return () if facts.completeness is None else facts.completeness.lacking


def _hit(facts: Facts, found: list[Lacking]) -> Hit:
    complete = facts.completeness
    helps = [words for each in found if (words := options_words(each))]
    ways = () if complete is None else complete.ways
    text = ", or ".join((*helps, *(words for words, _ in ways))) or "Give the wheel."
    mend = Remedy(f"{text[0].upper()}{text[1:]}.", tuple(line for _, line in ways))
    return Hit(_evidence(facts, found), severity=_severity(facts), remedy=mend)


def _evidence(facts: Facts, found: Iterable[Lacking]) -> tuple[str, ...]:
    lines = [facts.named("verl")]
    for each in found:
        lines.append(f"without {each.name} {each.stops}")
        lines += [f"{each.name}: {each.reason}"] if each.reason else [f"{each.name} is not installed"]
    return tuple(lines)


def _severity(facts: Facts) -> Severity:
    """Where there is no GPU nobody trains."""
    return "warning" if facts.has_gpu else "info"


def _build(facts: Facts, missing: Lacking) -> Remedy:
    """For an environment that verl-env did not make."""
    helps = options_words(missing)
    text = f"Install flash-attn for the torch that is there{f', or {helps}' if helps else ''}."
    return remedy(facts.shell, text, Fix(install=(FLASH_ATTN,), build=True), safe=False)
