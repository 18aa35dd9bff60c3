"""What is installed into a new generation beside what it takes over, and whether it came to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.environment.history import Change
from verl_env.environment.installed import same_version
from verl_env.installers.classify import classify
from verl_env.installers.failures import EnvironmentMismatchError
from verl_env.installers.process import run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from verl_env.additions.model import ResolvedPackage
    from verl_env.environment.installed import Distribution
    from verl_env.installers.base import Command, Installer


def requirements(stage: Path, name: str, found: Sequence[ResolvedPackage], options: Sequence[str]) -> Path:
    """A requirements file for exactly these packages; the options stand at its head."""
    pairs = list(options)
    head = []
    while pairs:
        option = pairs.pop(0)
        head.append(option if option == "--no-index" else f"{option} {pairs.pop(0)}")
    file = stage / f"{name}.txt"
    file.write_text("\n".join([*head, *(each.line for each in found)]) + "\n", encoding="utf-8")
    return file


def check_versions(found: Sequence[ResolvedPackage], have: Mapping[str, Distribution]) -> None:
    """Whether what the resolver chose is there.

    Raises:
        EnvironmentMismatchError: it is not.
    """
    wrong = [
        Change("~", each.name, have[each.name].version if each.name in have else None, each.version)
        for each in found
        if each.name not in have
        or (each.version and not same_version(have[each.name].version, each.version, local=True))
    ]
    if wrong:
        raise EnvironmentMismatchError(wrong)


def run_installer(installer: Installer, command: Command, show: Callable[[bytes], None] | None) -> None:
    """Runs an installer; ``show`` gets its output, None where there is no terminal.

    Raises:
        VerlEnvError: it failed; the subclass says why.
    """
    done = run(command, show)
    if done.code != 0:
        raise classify(installer.name, command.argv, done.code, done.output)
