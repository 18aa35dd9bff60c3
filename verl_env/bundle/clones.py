"""Sources that are commits of a repository, cloned into a bundle as one file each."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from verl_env.builds.checkouts import carry
from verl_env.builds.errors import NativeBuildFailedError, SourceUnavailableError
from verl_env.builds.sources import commit_of, fetch
from verl_env.builds.workshop import Workshop, opened
from verl_env.bundle.errors import BundleFileUnavailableError
from verl_env.bundle.model import File
from verl_env.installers.base import Source
from verl_env.wheels.fetch import file_sha256

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from verl_env.bundle.gather import Progress
    from verl_env.bundle.natives import Checkout
    from verl_env.plans.model import Step


class _Told:
    """What a clone tells goes where the bundle's progress goes."""

    terminal: Callable[[bytes], None] | None = None

    def __init__(self, progress: Progress) -> None:
        self.note = self.warn = progress.note

    def begin(self, step: Step) -> None:
        """There are no steps."""

    def end(self, step: Step, seconds: float, detail: str) -> None:
        """There are no steps."""

    def progress(self, name: str, done: int, total: int | None) -> None:
        """Git states no bytes."""

    def building(self, name: str, done: int | None, total: int | None, seconds: float) -> None:
        """Git states no steps."""


def clone(checkout: Checkout, root: Path, progress: Progress) -> File:
    """Clones a source with its submodules and writes it into the bundle; one that moves is asked for each time.

    Raises:
        BundleFileUnavailableError: it cannot be had.
    """
    job, to = checkout.job, root / checkout.path
    to.parent.mkdir(parents=True, exist_ok=True)
    part = to.with_name(f".{to.name}.part")
    with opened(checkout.host) as room:
        shop = Workshop(room, checkout.host, checkout.places, _Told(progress), Source((), offline=False))
        try:
            tree = fetch(job, shop)
            commit = commit_of(tree)
            carry(tree, job, shop, part)
        except (SourceUnavailableError, NativeBuildFailedError) as error:
            raise BundleFileUnavailableError(job.name, error.message) from error
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(to)
    progress.note(f"{job.name}: cloned at {commit}")
    return File(checkout.path, to.stat().st_size, file_sha256(to), "source", job.build.name, job.build.version)
