"""A new generation that differs from the one in force by some packages: for remedies, of whichever environment."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.additions.alter import run_installer
from verl_env.additions.metadata import read_metadata
from verl_env.additions.model import ExtraRequirement, Wishes
from verl_env.additions.resolve import Base, resolve
from verl_env.environment.errors import RecordMissingError
from verl_env.environment.installed import normalise
from verl_env.environment.record import read_record
from verl_env.environment.reuse import packages_of, sites
from verl_env.installers.base import Batch, Source
from verl_env.installers.choice import choose_installer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from verl_env.environment.change import NewGeneration


def replace_packages(
    new: NewGeneration,
    requirements: Sequence[str],
    *,
    gone: Sequence[str] = (),
    dependencies: bool = False,
    show: Callable[[bytes], None] | None = None,
) -> None:
    """Installs requirements from wheels into a new generation, and takes over all else but ``gone``.

    Args:
        new: The generation.
        requirements: What to install, in a new copy even where it is there.
        gone: Names of packages that go.
        dependencies: Lets a resolver change what the requirements need, too.
        show: Gets the installer's output.

    Raises:
        VerlEnvError: it cannot be had, or the installer failed.
    """
    installer = choose_installer(None)
    new.begin_from_old()
    have = {} if new.old is None else packages_of(new.old)
    lines = list(requirements)
    if dependencies and new.old is not None:
        python = sites(new.old)[0].parent.name.removeprefix("python")
        wishes = Wishes(tuple(ExtraRequirement(text, _name(text)) for text in requirements), ("--only-binary", ":all:"))
        found = resolve(wishes, Base(new.old, python, "", read_metadata(have), {}), installer, new.stage).found
        lines = [each.line for each in found]
    if lines:
        file = new.stage / "replaced.txt"
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        batch = Batch(file, Source(), hashes=False, wheels_only=True)
        run_installer(installer, installer.install(new.path, batch), show)
    check_recorded(new, gone)
    new.take_over(gone=[normalise(name) for name in gone])


def check_recorded(new: NewGeneration, gone: Collection[str] = ()) -> None:
    """Whether the files are known of every package that a generation does not take over from the one in force.

    Of a package with several metadata folders, as a broken installation leaves them, one has to say.

    Raises:
        RecordMissingError: none does.
    """
    if new.old is None:
        return
    replaced = {*map(normalise, gone), *packages_of(new.path)} & packages_of(new.old).keys()
    for name in sorted(replaced):
        folders = [str(path) for site in sites(new.old) for path in site.glob("*-info") if _named(path) == name]
        if all(read_record(folder) is None for folder in folders):
            raise RecordMissingError(name, new.target.path)


def _named(folder: Path) -> str:
    return normalise(folder.name.rpartition(".")[0].partition("-")[0])


def _name(requirement: str) -> str:
    return normalise(re.split(r"[^\w.-]", requirement.strip())[0])
