"""What can go wrong with an environment on disk: its place, its lock, its files, the room for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.command_line import command, quoted
from verl_env.errors import EXIT_MISUSE, VerlEnvError
from verl_env.sizes import human

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


#: What limits what may be written, where it is no quota.
FILE_SYSTEM = "the file system"


class RecordMissingError(VerlEnvError):
    """A package has no RECORD, so that nobody knows which files are its own, and it cannot be replaced or taken out.

    Packages of Debian and Ubuntu are of this kind: the tool that installed them removes them.
    """

    id = "record-missing"
    name: str
    path: Path
    says = "{name} in {path} has no RECORD: nobody knows which files are its own"
    helps = "remove it with the tool that installed it, or make the environment anew: verl-env install --stack ..."


class FilesOverlapError(VerlEnvError):
    """A package holds files that another one owns, or the environment itself (``pyvenv.cfg``, ``bin/python``).

    Whichever were written last would be in force, and taking the newcomer out again would take them away. Nothing was
    changed. Files of the same content, as many wheels share them, are no overlap.
    """

    id = "files-overlap"
    found: Mapping[tuple[str, str], Sequence[str]]

    @property
    def message(self) -> str:
        lines = [f"{new} has files of {owner}: {_few(files)}" for (new, owner), files in self.found.items()]
        return "\n  ".join(lines)

    @property
    def hint(self) -> str:
        owners = sorted({owner for _, owner in self.found if " " not in owner})
        if not owners:
            return "ask for another version or wheel of it"
        out = command("pip", "uninstall", "--allow-drift", *owners)
        return f"ask for another version or wheel of it; or knowingly take the other out first: {out}"


def _few(files: Sequence[str]) -> str:
    shown = [re.sub(r"^lib/python[^/]*/site-packages/", "", file) for file in files[:3]]
    more = len(files) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


class NothingToRollBackError(VerlEnvError):
    """There is no generation before the one in force: nothing was changed yet, or it made room for another."""

    id = "rollback-nothing"
    path: Path
    says = "there is nothing to go back to: {path} is as it was made, or what it was before is no longer kept"
    helps = "what was done to it: verl-env history --into {path!q}"


class TargetError(VerlEnvError):
    """The target of an installation cannot be an environment of verl-env; nothing was touched."""

    exit_code = EXIT_MISUSE
    path: Path


class EnvironmentForeignError(TargetError):
    """``--into`` is something that verl-env did not make: a directory with files, or an environment of another tool.

    Nothing in it was touched. Give another path, or remove it yourself first.
    """

    id = "environment-foreign"
    found: str
    says = "{path} is {found}, which verl-env did not make and will not change"

    @property
    def hint(self) -> str:
        return f"remove it first, or give another path: {command('install', '--into', f'{self.path}-verl')} ..."


class NotRemovableError(TargetError):
    """``verl-env remove`` was given something that verl-env did not make, or that is not there. Nothing was touched."""

    id = "remove-foreign"
    found: str
    says = "{path} is {found}; only what verl-env made is removed"
    helps = "what it made: verl-env list"


class RemovalIncompleteError(TargetError):
    """Files of an environment could not be removed, as a process on some host still has them open (NFS)."""

    id = "remove-incomplete"
    exit_code = 1
    left: Path
    says = "{path} is no environment any longer, and {left} could not be removed: its files are in use"
    helps = "once nothing runs in it: verl-env remove {path!q}"


class EnvironmentInUseError(TargetError):
    """Processes of this host run in an environment that is to be removed; they would lose the files that they read."""

    id = "environment-in-use"
    exit_code = 1
    processes: Sequence[str]
    says = "{processes:#} processes run in {path}:{processes:*\n  }"
    helps = "end them first, or remove it all the same: verl-env remove {path!q} --force"


class TargetPathUnusableError(TargetError):
    """The path of ``--into`` has something that scripts, ``activate``, PATH or an installer cannot hold.

    A quote ends the text that installers put it in, a colon divides PATH, control characters end lines, and uv takes
    only UTF-8. Blanks, brackets, dollar signs and the rest are no obstacle.
    """

    id = "target-path-unusable"
    reason: str
    says = "{path} cannot be an environment: its path {reason}"
    helps = "give another path: verl-env install --into DIR ..."


class TargetNotDirectoryError(TargetError):
    """``--into`` is a file, a socket or a device, where an environment is a directory."""

    id = "target-not-directory"
    says = "{path} is a file, and an environment is a directory"

    @property
    def hint(self) -> str:
        return f"give another path, or move it away: {quoted('mv', self.path, f'{self.path}.old')}"


class TargetDanglingError(TargetError):
    """``--into`` is a symbolic link to something that is not there, and the link is not verl-env's own."""

    id = "target-dangling"
    to: str
    says = "{path} is a symbolic link to {to}, which is not there"
    helps = "remove the link: rm {path!q}"


class TargetParentMissingError(TargetError):
    """The directory that ``--into`` should be made in does not exist."""

    id = "target-parent-missing"
    says = "there is no directory {path.parent} to make {path.name} in"
    helps = "mkdir -p {path.parent!q}"


class TargetPermissionError(TargetError):
    """The directory of ``--into`` may not be written by this user, or its file system is read-only."""

    id = "target-permission"
    exit_code = 1
    reason: str
    says = "{path} cannot be made: {reason}"
    helps = "give a path that you may write: verl-env install --into DIR ..."


class EnvironmentUnchangeableError(TargetError):
    """An environment of another tool cannot be changed as a whole.

    Its new state is made beside it, in DIR.d, and takes its place by a rename: so the directory that it lies in must be
    writable, and it may be neither a mount point nor part of an image's lower layer. Nothing in it was touched.
    """

    id = "environment-unchangeable"
    exit_code = 1
    reason: str
    says = "{path} cannot be changed: {reason}"
    helps = "make one that verl-env can change: verl-env install --into DIR ..."


class EnvironmentLockedError(VerlEnvError):
    """Another verl-env is changing the same environment and did not finish in time.

    The lock ends with the process that holds it. Only where the file system refuses flock is there a file: it names the
    process, and has to be removed by hand where that has ended on another host.
    """

    id = "environment-locked"
    path: Path
    holder: str
    file: str = ""
    says = "{path} is being changed by {holder}"
    helps = "wait for it, or end it, and run this again{file:+; if no such run is left on any host: rm {file!q}}"


class DiskFullError(VerlEnvError):
    """The file system has not enough room, or a quota is used up.

    Checked before anything is downloaded where the sizes are known: bytes and files, of the file system and of the
    quotas that ``quota`` or ``lfs quota`` show. ``by`` says which limit it is.
    """

    id = "disk-full"
    path: Path | None
    need: int | None = None
    free: int | None = None
    by: str = FILE_SYSTEM
    files: bool = False
    quota: bool = False
    helps = (
        "make room (look: df -h, df -i, quota -s; clear: uv cache prune, pip cache purge), install "
        "elsewhere (--into DIR), or move the cache (UV_CACHE_DIR, PIP_CACHE_DIR)"
    )

    @property
    def message(self) -> str:
        if self.need is not None and self.free is not None:
            free, need = human(self.free), human(self.need)
            if self.files:
                free, need = f"{self.free:,} files", f"about {self.need:,}"
            room = f" has {free} free" if self.by == FILE_SYSTEM else f": {self.by} leaves {free}"
            return f"{self.path}{room}, and {need} are needed"
        what = "the disk quota" if self.quota else "the file system"
        return f"{what} is full{f' (writing {self.path})' if self.path else ''}"
