"""The task of one node of ``cluster install``: whether a pack can go to its disk, and the pack put in place there.

Started by ``cluster.command`` with one argument, a JSON object: ``step`` is ``check`` or ``finish``, ``to`` the
directory, ``digest`` the SHA-256 of the file, ``origin`` what an installed one says it is from, ``size`` its bytes,
``need`` the bytes that are wanted in all, ``kind`` what it is. With ``stdin`` the file comes through it; otherwise it
lies beside the directory already.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import socket
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

from verl_env.bundle.model import MANIFEST
from verl_env.bundle.packing.unpack import unpack
from verl_env.bundle.use import open_bundle
from verl_env.cluster.answers import SCHEMA, answer_lines
from verl_env.environment.files import remove_trees
from verl_env.errors import VerlEnvError
from verl_env.locking import StillHeldError, only_run
from verl_env.sizes import human
from verl_env.wheels.fetch import file_sha256

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

#: In an installed prefix: the digest of the pack that it is from.
ORIGIN = "verl-env-pack.origin"
_CHUNK = 1 << 20
#: Seconds for another run to let go of the lock: two that check at once hold it for a moment each.
_PATIENCE = 5.0
#: What unpacks each kind; a bundle needs nothing.
_TOOLS = {"squashfs": "unsquashfs", "tar": "zstd"}


class NotHereError(Exception):
    """Why this node cannot have it; the text is a clause."""


def beside(to: Path, digest: str) -> Path:
    """Where the pack lies on a node until it is unpacked: on the same file system as the directory."""
    return to.with_name(f".{to.name}.{digest[:12]}.pack")


def main(arguments: list[str]) -> None:
    """Does its step and prints what came of it."""
    asked = json.loads(arguments[0])
    node = os.environ.get("VERL_ENV_NODE") or os.environ.get("SLURMD_NODENAME") or socket.gethostname()
    answer: dict[str, Any] = {"schema": SCHEMA, "node": node}
    try:
        answer["aspects"] = {"state": {"check": check, "finish": finish}[asked["step"]](asked)}
    except NotHereError as error:
        answer |= {"failed": "stage", "why": str(error)}
    except VerlEnvError as error:
        answer |= {"failed": error.id, "why": error.message}
    except OSError as error:
        answer |= {"failed": "stage", "why": _worded(error)}
    sys.stdout.write(answer_lines(answer))


def check(asked: Mapping[str, Any]) -> str:
    """``present`` where the directory is of this very pack, else ``ready``: there is room, and it can be written.

    Raises:
        NotHereError: it cannot go there.
        OSError: the directory above it cannot be made or written.
    """
    to, digest = Path(asked["to"]), asked["digest"]
    if _origin(to) == asked["origin"]:
        return "present"
    if os.path.lexists(to) and (to.is_symlink() or not to.is_dir() or any(to.iterdir())):
        found = _origin(to)
        what = f"the pack {found[:12]}" if found else "something that no pack was installed as"
        raise NotHereError(f"{to} is there already and holds {what}")
    tool = _TOOLS.get(asked["kind"])
    if tool is not None and shutil.which(tool) is None:
        raise NotHereError(f"{tool}, which unpacks it, is not on this node")
    to.parent.mkdir(parents=True, exist_ok=True)
    with _locked(beside(to, digest), to):
        _clean(to)
    free = shutil.disk_usage(to.parent).free
    if free < asked["need"]:
        raise NotHereError(f"{to.parent} has {human(free)} free, and it takes {human(asked['need'])}")
    return "ready"


def finish(asked: Mapping[str, Any]) -> str:
    """``installed``; ``absent`` where no whole pack lies beside the directory.

    Raises:
        NotHereError: another run is at it.
        VerlEnvError: what was unpacked is not what was packed, or cannot run here.
        OSError: there is no room, or the like.
    """
    to, digest = Path(asked["to"]), asked["digest"]
    pack = beside(to, digest)
    if not asked.get("stdin") and (not pack.is_file() or pack.stat().st_size != asked["size"]):
        return "absent"
    with _locked(pack, to), pack.open("ab") as file:
        try:
            if _origin(to) == asked["origin"]:
                return "installed"
            have = _received(file, sys.stdin.buffer) if asked.get("stdin") else file_sha256(pack)
            if have != digest:
                return "absent"
            _put(pack, to, digest, asked["kind"])
        finally:
            pack.unlink(missing_ok=True)
    return "installed"


def _put(pack: Path, to: Path, digest: str, kind: str) -> None:
    """Unpacks beside the directory, and puts it in place by one rename."""
    new = to.with_name(f".{to.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    try:
        if kind == "bundle":
            open_bundle(open_bundle(pack).unpack(new)).check(lambda _: None)
        else:
            unpack(pack, new)
            (new / ORIGIN).write_text(f"{digest}\n", encoding="utf-8")
        new.rename(to)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _received(file: IO[bytes], source: IO[bytes]) -> str:
    """Writes what comes through a stream; its SHA-256."""
    digest = hashlib.sha256()
    file.truncate(0)
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        file.write(chunk)
    file.flush()
    return digest.hexdigest()


@contextlib.contextmanager
def _locked(pack: Path, to: Path) -> Iterator[None]:
    """Keeps other runs from a pack.

    Raises:
        NotHereError: another run is at it.
        OSError: the lock cannot be made.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(only_run(pack, seconds=_PATIENCE, waiting=lambda: None))
        except StillHeldError as held:
            by_hand = f"; if none is: rm {shlex.quote(str(held))}" if str(held) else ""
            raise NotHereError(f"another run is installing {to} on it{by_hand}") from None
        yield


def _clean(to: Path) -> None:
    """Removes what a run that was killed left beside the directory."""
    for left in to.parent.glob(f".{to.name}.*.pack"):
        left.unlink(missing_ok=True)
    for left in (*to.parent.glob(f".{to.name}.new"), *to.parent.glob(f"..{to.name}.new.*.part")):
        remove_trees([left])


def _origin(to: Path) -> str:
    """What a directory is from: the pack, or the manifest of a bundle, in which no file may be put."""
    try:
        return (to / ORIGIN).read_text(encoding="utf-8").strip()
    except OSError:
        return file_sha256(to / MANIFEST) if (to / MANIFEST).is_file() else ""


def _worded(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"
