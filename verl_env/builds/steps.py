"""The builds themselves: a wheel by its backend, a directory by the commands of its recipe."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.builds import sources
from verl_env.builds.errors import SourceUnavailableError
from verl_env.builds.variables import filled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from verl_env.builds.model import Job
    from verl_env.builds.workshop import Workshop


def build_wheel(job: Job, shop: Workshop, source: Path) -> Path:
    """Builds a wheel from a source tree.

    Raises:
        NativeBuildFailedError: it did not build, or no wheel came of it.
        SourceUnavailableError: the source has no such folder.
    """
    source /= job.recipe.folder
    if not source.is_dir():
        raise SourceUnavailableError(job.name, job.recipe.source, f"it has no folder {job.recipe.folder}")
    _run_commands(job, shop, source)
    out = shop.room(f"{job.build.name}-wheel")
    settings = [word for setting in job.recipe.settings for word in ("--config-settings", setting)]
    shop.pip(job, "wheel", "--wheel-dir", str(out), *settings, str(source))
    return next(out.glob("*.whl"))


def build_prefix(job: Job, shop: Workshop, source: Path, prefix: Path) -> None:
    """Makes a directory with the commands of a recipe, run in the source tree.

    Raises:
        NativeBuildFailedError: a command failed.
    """
    prefix.mkdir(parents=True, exist_ok=True)
    shop.values[f"prefix:{job.build.name}"] = str(prefix)
    _run_commands(job, shop, source)


def _run_commands(job: Job, shop: Workshop, source: Path) -> None:
    values = {**shop.values, "jobs": str(job.jobs)}
    for command in job.recipe.commands:
        shop.run(job, tuple(filled(word, values) for word in command), cwd=source)


@contextmanager
def linked(job: Job, shop: Workshop) -> Iterator[None]:
    """Holds the symbolic links of a recipe while it is built; one that is there stays as it is."""
    made: list[Path] = []
    try:
        for name, target in job.recipe.links.items():
            path = Path(filled(name, shop.values))
            if not path.exists():
                path.unlink(missing_ok=True)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to(filled(target, shop.values))
                made.append(path)
        yield
    finally:
        for path in made:
            path.unlink(missing_ok=True)


def apply_patches(job: Job, shop: Workshop, source: Path, source_of: Callable[[str], Path]) -> None:
    """Applies the patches of a recipe to a source tree.

    Args:
        job: Whose patches; each is a path inside the source of a component, ``deep-ep:third-party/nvshmem.patch``.
        shop: Where they are applied.
        source: The tree that is changed.
        source_of: Gives the source tree of a component.

    Raises:
        SourceUnavailableError: there is no such patch.
        NativeBuildFailedError: one does not apply.
    """
    for patch in job.recipe.patches:
        owner, _, path = patch.partition(":")
        file = source_of(owner) / path
        if not file.is_file():
            raise SourceUnavailableError(
                job.name, job.recipe.source, f"its patch {patch} is not in the source of {owner}"
            )
        if shutil.which("patch", path=shop.host.environ.get("PATH")) is not None:
            shop.run(job, ("patch", "-p1", "--batch", "--forward", "-i", str(file)), cwd=source)
        else:
            shop.run(job, ("git", "apply", "-p1", str(file)), cwd=source)


def source_tree(job: Job, shop: Workshop, source_of: Callable[[str], Path]) -> Path:
    """The source of a job with its patches applied.

    Raises:
        SourceUnavailableError: it cannot be had.
        HashMismatchError: it is another file than the recorded one.
    """
    try:
        tree = sources.fetch(job, shop)
    except ValueError as error:
        raise SourceUnavailableError(job.name, job.recipe.source, str(error)) from error
    apply_patches(job, shop, tree, source_of)
    return tree
