"""The ways of a native component, one after another, until one of them works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.builds.errors import BuildImpossibleError, NativeBuildFailedError, SourceUnavailableError
from verl_env.installers.failures import DownloadInterruptedError, HashMismatchError
from verl_env.records import record
from verl_env.wheels.errors import NativeMismatchError, NativeUnobtainableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from verl_env.choose.model import Build
    from verl_env.errors import VerlEnvError

#: What rules out one way and says nothing of the others.
_NEXT = (
    NativeUnobtainableError,
    NativeMismatchError,
    HashMismatchError,
    DownloadInterruptedError,
    SourceUnavailableError,
    BuildImpossibleError,
)


@record
class BuildResult:
    """The way that worked, and what it came to in words; ``way`` None: none did, and ``detail`` says why not."""

    way: Build | None
    detail: str


def build_first_that_works(choice: Build, attempt: Callable[[Build], str], warn: Callable[[str], None]) -> BuildResult:
    """Tries the way that was decided on, then the others in their order; after a build that failed, no other.

    Args:
        choice: A component.
        attempt: Gets it in by one way, and says what that came to.
        warn: Told of every way that does not work, and what comes next.

    Raises:
        NativeUnobtainableError: no way works, and the component must not be left out: one that is required, or
            that a build was decided on for.
        VerlEnvError: the only way does not work, or the build failed, as above.
    """
    ways, failed = [choice, *choice.others], list[tuple["Build", "VerlEnvError"]]()
    while ways:
        way = ways.pop(0)
        done = _tried(way, attempt)
        if isinstance(done, str):
            return BuildResult(way, done)
        failed.append((way, done))
        if isinstance(done, NativeBuildFailedError):
            break
        if ways:
            warn(f"{choice.name} {way.version}: {_reason(done)}; taken instead: {_words(ways[0])}")
    last = failed[-1][1]
    reason = "; ".join(f"{_words(way)}: {_reason(error)}" for way, error in failed)
    if choice.required or choice.how == "build":
        raise (
            last
            if len(failed) == 1 or isinstance(last, NativeBuildFailedError)
            else NativeUnobtainableError(choice, reason)
        )
    return BuildResult(None, _reason(last) if len(failed) == 1 else reason)


def _tried(way: Build, attempt: Callable[[Build], str]) -> str | VerlEnvError:
    """What a way came to, or why it does not work."""
    try:
        return attempt(way)
    except (*_NEXT, NativeBuildFailedError) as error:
        return error


def _words(way: Build) -> str:
    version = f"{way.name} {way.version}"
    if way.wheel is not None:
        return way.wheel.file
    return f"a build of {version} from {way.recipe.source}" if way.recipe is not None else version


def _reason(error: VerlEnvError) -> str:
    """Why a way does not work, in one line."""
    if isinstance(error, BuildImpossibleError):
        return "; ".join(problem.message for problem in error.problems)
    if isinstance(error, NativeBuildFailedError):
        return f"{error.message.partition(chr(10))[0]} (the whole output: {error.log})"
    return error.reason if isinstance(error, NativeUnobtainableError | NativeMismatchError) else error.message
