"""What can go wrong with builds from source. The environment that was in force stays in force each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.errors import VerlEnvError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from verl_env.builds.model import BuildProblem


class BuildImpossibleError(VerlEnvError):
    """Native components cannot be built on this host as it is; found before anything was downloaded or compiled.

    Every problem is listed, each with its own id: a missing or unfit tool (``nvcc-missing``, ``nvcc-major-mismatch``,
    ``gcc-too-new``), headers and libraries that are not found, no room or no right to run programs in ``TMPDIR``, too
    little memory, no GPU that is known to build for.
    """

    id = "build-impossible"
    problems: Sequence[BuildProblem]

    @property
    def message(self) -> str:
        lines = [f"{problem.message} [{problem.id}]" for problem in self.problems]
        return "\n  ".join(["native components cannot be built here:", *lines])

    @property
    def hint(self) -> str:
        hints = dict.fromkeys(problem.hint for problem in self.problems)
        return "\n  ".join([*hints, "or leave them out: --native skip"])


class NativeBuildFailedError(VerlEnvError):
    """A native component did not build. The whole output is kept in a file; its first errors are shown.

    ``cause`` is filled in by who knows the texts of compilers: ``verl-env doctor`` does.
    """

    id = "native-build-failed"
    name: str
    what: str
    code: int
    log: Path
    tail: Sequence[str]
    cause: str | None = None
    helps = "the whole output: {log}; its likely cause: verl-env doctor --report {log!q}"

    @property
    def message(self) -> str:
        how = f"was killed by signal {-self.code}" if self.code < 0 else f"ended with exit code {self.code}"
        lines = [f"{self.name} did not build: {self.what} {how}", *self.tail]
        return "\n  ".join([*lines, *([f"likely cause: {self.cause}"] if self.cause else [])])


class SourceUnavailableError(VerlEnvError):
    """The source of a native component cannot be had: not in the cache, and not to be fetched."""

    id = "source-unavailable"
    name: str
    source: str
    reason: str
    says = "the source of {name} ({source}) cannot be had: {reason}"
    helps = "behind a proxy or without GitHub: add a mirror to the configuration ([mirrors]), or --native skip"
