"""``install --require-recorded``: what has no recorded hash is refused before anything is downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.builds.sources import origin_of
from verl_env.wheels.errors import HashRequiredError
from verl_env.wheels.fetch import places_of

if TYPE_CHECKING:
    from collections.abc import Container

    from verl_env.choose.model import Build
    from verl_env.installers.options import Options
    from verl_env.plans.model import Plan


def refuse_unrecorded(plan: Plan, options: Options, there: Container[str]) -> None:
    """Whether every file that a plan would fetch has a recorded hash, and every repository a commit.

    Args:
        plan: The plan.
        options: Its wheelhouse holds files that somebody gave, which are not fetched.
        there: The names of what is in the environment as it should be.

    Raises:
        HashRequiredError: one has none.
    """
    found = [package.name for package in plan.packages if not package.hashes and package.name not in there]
    found += [each.name for each in plan.natives if each.name not in there and _is_unrecorded(each, options)]
    if found:
        raise HashRequiredError(tuple(found))


def _is_unrecorded(choice: Build, options: Options) -> bool:
    if choice.wheel is not None and choice.how == "prebuilt":
        housed = places_of(choice.wheel.url, choice.wheel.file, options)[0]
        return choice.wheel.sha256 is None and not (housed is not None and housed.is_file())
    if choice.recipe is None or choice.how != "build":
        return False
    origin = origin_of(choice.recipe.source)
    return not origin.fixed if origin.kind == "git" else choice.recipe.sha256 is None
