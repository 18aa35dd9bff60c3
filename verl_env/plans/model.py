"""A plan: the ordered steps that make an environment; and what comes of an installation."""

from __future__ import annotations

from verl_env.records import NOTHING, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Literal

    from verl_env.choose.model import Build
    from verl_env.environment.history import Change
    from verl_env.locksets.model import Lockset, Package, SmokeTest

    StepKind = Literal["environment", "packages", "wheels", "native", "verl", "runtime", "check", "switch"]


@record
class Step:
    """One step, in the order it runs; ``detail`` says what it does in words."""

    kind: StepKind
    title: str
    detail: str = ""


@record
class Provided:
    """A package that the site provides, the directory of packages that has it, and what it is imported as.

    ``module`` is "" where that is not seen.
    """

    name: str
    version: str
    directory: str
    module: str = ""


@record
class Plan:
    """All that ``install`` does, decided beforehand. Sizes in bytes.

    ``extras`` are requirements beside the lock, which are installed under its constraints; ``wishes`` is all that was
    asked for beside the stack. ``provided`` are the packages that the site has. ``asked`` is the request as words of a
    command line; ``barred`` the addresses and hosts that nothing can be had from, each with the reason (``reach``).
    """

    stack: str
    lockset: Lockset
    python: str
    interpreter: str | None
    arch: str
    steps: tuple[Step, ...]
    packages: tuple[Package, ...]
    natives: tuple[Build, ...]
    checks: tuple[SmokeTest, ...]
    download_bytes: int
    disk_bytes: int
    env: Mapping[str, str] = NOTHING
    warnings: tuple[str, ...] = ()
    verl_source: str | None = None
    extras: tuple[str, ...] = ()
    wishes: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    barred: Mapping[str, str] = NOTHING
    provided: tuple[Provided, ...] = ()


@record
class Cost:
    """What a set of packages costs in bytes; ``exact`` is False where the lock does not state each size.

    ``files`` is an estimate of the files and directories that they have.
    """

    download_bytes: int
    disk_bytes: int
    exact: bool = True
    files: int = 0


@record
class InstallOutcome:
    """What an installation came to.

    ``left_out`` maps native components that are not in the environment to the reason; ``skipped`` does the same for
    checks that did not run. ``changes`` is empty and ``done`` False when there was nothing to do. ``ways`` says of the
    native components that are there where each came from.
    """

    path: Path
    done: bool
    changes: tuple[Change, ...]
    left_out: Mapping[str, str]
    checks: tuple[str, ...] = ()
    skipped: Mapping[str, str] = NOTHING
    seconds: float = 0.0
    ways: Mapping[str, str] = NOTHING
