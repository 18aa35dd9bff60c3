"""A git checkout as one file, to be carried where no repository can be reached: one commit gives the same bytes.

It is the checkout whole, with its submodules and what git itself keeps: a source that asks git (for its commit, for
submodules that are there already) is answered as in a checkout from the network. What differs from run to run goes:
time stamps, logs, the index's notes on files, how the server happened to pack its objects.
"""

from __future__ import annotations

import shutil
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from verl_env.builds.model import Job
    from verl_env.builds.workshop import Workshop

#: The directory of a wheelhouse with checkouts, and how their files end.
FOLDER = "git"
ENDING = ".tar"
#: 1980-01-02: the first day that is in a zip file's range whatever the time zone, as builds put sources into wheels.
_TIME = 315619200
#: What git keeps of its own runs. References go too: HEAD names the commit.
_PASSING = (
    "hooks", "logs", "branches", "description", "info", "index", "FETCH_HEAD", "ORIG_HEAD", "COMMIT_EDITMSG", "gc.log",
    "packed-refs", "objects/info",
)  # fmt: skip


def carry(tree: Path, job: Job, shop: Workshop, file: Path) -> None:
    """Writes a checkout into a file, and changes it on the way.

    Raises:
        NativeBuildFailedError: git failed.
        OSError: it cannot be written.
    """
    for directory in _git_directories(tree):
        _settle(directory, job, shop)
    entries = sorted(tree.rglob("*"), key=lambda path: path.relative_to(tree).as_posix())
    with tarfile.open(file, "w", format=tarfile.GNU_FORMAT) as tar:
        for path in (tree, *entries):
            name = "/".join(("tree", *path.relative_to(tree).parts))
            tar.add(path, name, recursive=False, filter=_plain)


def _git_directories(tree: Path) -> Iterator[Path]:
    """Git's own directory of a checkout, and those of its submodules."""
    for head in sorted((tree / ".git").rglob("HEAD")):
        if (head.parent / "objects").is_dir():
            yield head.parent


def _settle(directory: Path, job: Job, shop: Workshop) -> None:
    """Leaves of a git directory the objects of its commit, packed by one rule, and the configuration."""
    for name in _PASSING:
        path = directory / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    shutil.rmtree(directory / "refs")
    (directory / "refs" / "heads").mkdir(parents=True)
    git = ("git", f"--git-dir={directory}")
    shop.run(job, (*git, "-c", "pack.threads=1", "repack", "-a", "-d", "-f", "-q"))
    shop.run(job, (*git, "prune"))
    shutil.rmtree(directory / "objects" / "info", ignore_errors=True)
    shutil.rmtree(directory / "info", ignore_errors=True)
    # Git and its submodule command read the index; one that was just read from the commit has no notes on files.
    shop.run(job, (*git, "read-tree", "HEAD"))


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """An entry with nothing of this host."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = _TIME
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry
