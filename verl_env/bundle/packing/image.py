"""A directory as one file and back: squashfs where its tools are, else tar with zstd."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

from verl_env.builds.unpack import ArchiveInvalidError, untar
from verl_env.bundle.packing.errors import PackImpossibleError, PackInvalidError
from verl_env.reading import open_regular
from verl_env.sizes import human

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: Without it mksquashfs takes 15, which takes 20 times as long for an eighth less (cluster measurements, 1.9 GB).
LEVEL = "3"
BLOCK = "256K"
_SQUASHFS_MAGIC = b"hsqs"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
#: The size of a file in a line of ``unsquashfs -lln``.
_SIZE = re.compile(r"^-[rwxstST-]{9} +\d+/\d+ +(\d{1,19}) ", re.MULTILINE)
_SUFFIXES = {".squashfs": "squashfs", ".sqsh": "squashfs", ".sqfs": "squashfs", ".zst": "tar", ".tzst": "tar"}


def kind_for(path: Path) -> str:
    """``squashfs`` or ``tar``, by the name of the file that is to be made, else by what is here."""
    named = _SUFFIXES.get(path.suffix)
    return named or ("squashfs" if shutil.which("mksquashfs") else "tar")


def make_image(directory: Path, to: Path, kind: str, jobs: int) -> None:
    """Writes a directory into one file that is not there yet; owners and the host do not show.

    Raises:
        PackImpossibleError: the tools are not here, or failed.
    """
    if kind == "squashfs":
        _run(directory, "mksquashfs", [str(directory), str(to), *_squashfs_flags(jobs)], "squashfs-tools")
    else:
        _tar(directory, to, jobs)


def kind_of(path: Path) -> str:
    """What a file is, by its first bytes.

    Raises:
        PackInvalidError: it is neither.
    """
    try:
        with open_regular(path) as file:
            head = file.read(4)
    except OSError as error:
        raise PackInvalidError(path, error.strerror or str(error)) from error
    if head == _SQUASHFS_MAGIC:
        return "squashfs"
    if head == _ZSTD_MAGIC:
        return "tar"
    raise PackInvalidError(path, "it is neither a squashfs image nor a tar file with zstd")


def extract(path: Path, to: Path) -> None:
    """Writes the files of an image into a directory that is not there yet.

    Raises:
        PackInvalidError: it is damaged.
        PackImpossibleError: the tools are not here.
    """
    if kind_of(path) == "squashfs":
        _refuse_more_than_free(path, to.parent)
        argv = ["-no-progress", "-no-xattrs", "-quiet", "-d", str(to), str(path)]
        done = _try("unsquashfs", argv, path, "squashfs-tools")
        if done.returncode != 0:
            raise PackInvalidError(path, _last(done.stderr))
        return
    zstd = _program("zstd", path, "zstd")
    to.mkdir()
    with subprocess.Popen([zstd, "-dcq", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            if process.stdout is None:
                raise PackInvalidError(path, "zstd gives nothing")
            with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
                untar(tar, to)
        except (tarfile.TarError, OSError, ArchiveInvalidError) as error:
            process.kill()
            raise PackInvalidError(path, str(error)) from error
    if process.returncode != 0:
        raise PackInvalidError(path, "its compressed data is damaged")


def _refuse_more_than_free(path: Path, place: Path) -> None:
    """A hole of terabytes takes no room in an image, and hours to be read once it is unpacked."""
    done = _try("unsquashfs", ["-lln", str(path)], path, "squashfs-tools")
    held, free = sum(map(int, _SIZE.findall(done.stdout))), shutil.disk_usage(place).free
    if held > free:
        raise PackInvalidError(path, f"it holds {human(held)}, and {human(free)} are free")


def _squashfs_flags(jobs: int) -> list[str]:
    flags = ["-comp", "zstd", "-Xcompression-level", LEVEL, "-b", BLOCK, "-all-root", "-noappend", "-no-xattrs"]
    return [*flags, "-no-progress", "-quiet", "-processors", str(jobs)]


def _tar(directory: Path, to: Path, jobs: int) -> None:
    zstd = _program("zstd", directory, "zstd")
    with (
        to.open("wb") as out,
        subprocess.Popen([zstd, f"-{LEVEL}", f"-T{jobs}", "-q", "-c"], stdin=subprocess.PIPE, stdout=out) as process,
    ):
        with tarfile.open(fileobj=process.stdin, mode="w|", format=tarfile.GNU_FORMAT) as tar:
            for path in sorted(directory.rglob("*")):
                tar.add(path, path.relative_to(directory).as_posix(), recursive=False, filter=_anonymous)
        if process.stdin is not None:
            process.stdin.close()
    if process.returncode != 0:
        raise PackImpossibleError(directory, "zstd failed; is the file system full?", "look: df -h")


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _run(directory: Path, program: str, argv: Sequence[str], package: str) -> None:
    done = _try(program, argv, directory, package)
    if done.returncode != 0:
        raise PackImpossibleError(directory, f"{program} failed: {_last(done.stderr)}", "look: df -h")


def _try(program: str, argv: Sequence[str], path: Path, package: str) -> subprocess.CompletedProcess[str]:
    command = [_program(program, path, package), *argv]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)


def _program(name: str, path: Path, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        hint = f"install {package}, or give a file of the other kind (.tar.zst, .squashfs)"
        raise PackImpossibleError(path, f"{name} is not here", hint)
    return found


def _last(text: str) -> str:
    return next(iter(text.strip().splitlines()[-1:]), "it said nothing")
