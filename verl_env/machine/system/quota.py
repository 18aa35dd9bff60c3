"""What quotas leave of a file system: statvfs shows the file system, so ``quota`` and ``lfs quota`` are asked besides.

Both are programs of the site, and talk to servers: they run in children with a deadline, and no answer is no limit.
Formats: quota(1) of the Linux DiskQuota tools with ``--raw-grace``, lfs-quota(1) of Lustre.
"""

from __future__ import annotations

import os
import time

from verl_env.machine.child import Completed, run_all
from verl_env.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

#: Seconds that all questions about one file system get.
SECONDS = 3.0
_KIB = 1024
_COLUMNS = 8


@record
class Quota:
    """What a quota leaves: ``source`` says whose and where; ``bytes`` and ``files`` are None where it has no limit."""

    source: str
    bytes: int | None
    files: int | None


@record
class FileSystem:
    """A mounted file system: where, of what kind, and what is mounted."""

    place: str
    kind: str
    device: str


def quotas(path: Path, environ: Mapping[str, str] = os.environ) -> tuple[Quota, ...]:
    """The quotas on the file system of a path that is there: those of the user, of groups and of the project."""
    mount = mount_of(os.path.realpath(path))
    if mount is None:
        return ()
    until = time.monotonic() + SECONDS
    if mount.kind == "lustre":
        return tuple(_lustre(path, mount, environ, until))
    questions = [("quota", "--no-wrap", "--raw-grace", flag) for flag in ("--user", "--group")]
    answers = [answer for question in questions for answer in _ask([question], environ, until)]
    return tuple(quota for text in answers for quota in rows(text, mount))


def rows(text: str, mount: FileSystem) -> Iterator[Quota]:
    """The rows about a file system in what ``quota`` or ``lfs quota`` prints; a long name has a line of its own."""
    whose = "quota"
    words: list[str] = []
    for line in text.splitlines():
        if "quotas for" in line:
            whose = line.partition("quotas for ")[2].partition("(")[0].strip() or whose
            words = []
            continue
        words = [*words, *line.split()] if len(words) == 1 else line.split()
        if len(words) > _COLUMNS and words[0] in (mount.device, mount.place) and words[1][:1] in "0123456789[":
            space, files = _left(words[1], words[2:4]), _left(words[5], words[6:8])
            yield Quota(f"the quota for {whose} on {mount.place}", None if space is None else space * _KIB, files)


def mount_of(path: str, table: str | None = None) -> FileSystem | None:
    """The file system that a path is on; None where the kernel does not say.

    Args:
        path: Without links.
        table: As ``/proc/self/mountinfo`` (proc(5)); None reads it.
    """
    if table is None:
        try:
            with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
                table = file.read()
        except OSError:
            return None
    best: FileSystem | None = None
    for line in table.splitlines():
        left, _, right = line.partition(" - ")
        place = _plain(left.split()[4])
        if (path == place or path.startswith(place.rstrip("/") + "/")) and (not best or len(place) >= len(best.place)):
            kind, device, *_ = right.split()
            best = FileSystem(place, kind, _plain(device))
    return best


def _lustre(path: Path, mount: FileSystem, environ: Mapping[str, str], until: float) -> Iterator[Quota]:
    place = os.fspath(path)
    owners = [("-u", str(os.getuid())), ("-g", str(os.stat(place).st_gid))]  # noqa: PTH116
    project = next(iter(_ask([("lfs", "project", "-d", place)], environ, until)), "").split()
    if project[:1] and project[0].isdigit() and project[0] != "0":
        owners.append(("-p", project[0]))
    for text in _ask([("lfs", "quota", *owner, mount.place) for owner in owners], environ, until):
        yield from rows(text, mount)


def _ask(argvs: Sequence[tuple[str, ...]], environ: Mapping[str, str], until: float) -> Iterator[str]:
    """What programs print that are there and answer in time; over a quota they exit with 1, and print all the same."""
    for outcome in run_all(argvs, deadline=until, env={**environ, "LC_ALL": "C"}):
        if isinstance(outcome, Completed):
            yield outcome.stdout.decode("utf-8", "replace")


def _left(used: str, limits: Sequence[str]) -> int | None:
    """What is left below the hard limit, or the soft one where there is no other; None without a limit."""
    soft, hard = (_number(each) for each in limits)
    limit = hard or soft
    return max(0, limit - _number(used)) if limit else None


def _number(text: str) -> int:
    """A number that may be marked: ``*`` over a quota, ``[]`` where a server did not answer."""
    digits = text.strip("[]*")
    return int(digits) if digits.isdigit() else 0


def _plain(name: str) -> str:
    """A name of mountinfo without its octal escapes."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        name = name.replace(code, character)
    return name
