"""What would have been chosen, had its native components been there, in words."""

from __future__ import annotations

from verl_env.choose.words import missing_named
from verl_env.texts import counted, listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from verl_env.choose.resolver.resolve import Resolution


def passed_over(found: Resolution) -> Iterator[str]:
    """What would have come first, had its components been there, and how to have it all the same."""
    first = next(iter(found.passed), None)
    if first is None:
        return
    left_out = {build.name for build in found.builds if build.how == "skip"}
    lacking = [each for each in first.missing if each.name not in left_out]
    chosen, missing = found.environment.lockset, listed(dict.fromkeys(each.name for each in lacking))
    reasons = "; ".join(map(missing_named, lacking))
    if first.lockset is chosen:
        yield f"Python {found.environment.python} is taken: {missing} cannot be had on {first.python} ({reasons})"
        return
    others = len({each.lockset.id for each in found.passed} - {first.lockset.id, chosen.id})
    more = f", and {counted(others, 'other lockset')} for like reasons" if others else ""
    yield (
        f"{first.lockset.id} comes first but is passed over{more}, as {missing} cannot be had for it ({reasons}); "
        f"to have it without: --lockset {first.lockset.id}"
    )
