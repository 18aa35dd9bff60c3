"""Takes a pack apart into a directory, or mounts it: checked first, and in place by one rename."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from verl_env.bundle.packing.errors import MountImpossibleError, PackInvalidError, PackMisfitError, PackTargetTakenError
from verl_env.bundle.packing.image import extract, kind_of
from verl_env.bundle.packing.listing import check_listing
from verl_env.bundle.packing.model import FILE, read_pack
from verl_env.bundle.packing.needs import lacking
from verl_env.bundle.packing.room import put_in_place, room_beside
from verl_env.environment.target import check_path
from verl_env.versions import at_least

if TYPE_CHECKING:
    from pathlib import Path

    from verl_env.bundle.packing.model import Pack

_SUFFIXES = (".tar.zst", ".tzst", ".squashfs", ".sqsh", ".sqfs")


def unpack(file: Path, to: Path | None = None) -> tuple[Path, Pack]:
    """Unpacks a pack; every file is compared with what was packed before it is put in place.

    Args:
        file: The pack.
        to: The directory; None for the name of the file without its ending.

    Raises:
        PackInvalidError: it is none, or damaged.
        PackMisfitError: this host cannot run it.
        PackTargetTakenError: the directory is there.
        TargetPathUnusableError: its path cannot be that of an environment.
    """
    target = (to or file.parent / _stem(file)).absolute()
    check_path(target)
    if os.path.lexists(target) and (not target.is_dir() or target.is_symlink() or any(target.iterdir())):
        raise PackTargetTakenError(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with room_beside(target) as room:
        prefix = room / "prefix"
        extract(file, prefix)
        described = _described(prefix, file)
        check_listing(prefix, file)
        put_in_place(prefix, target)
    return target, described


def mount(file: Path, to: Path) -> Pack:
    """Mounts a pack read-only: by the kernel as root, else by squashfuse.

    Raises:
        MountImpossibleError: neither works.
        PackInvalidError: it is no squashfs image, or none of ours.
        PackMisfitError: this host cannot run it.
        PackTargetTakenError: something is in the directory.
    """
    if kind_of(file) != "squashfs":
        raise MountImpossibleError(file, "it is a tar file, and only a squashfs image can be mounted")
    if os.path.lexists(to) and (not to.is_dir() or any(to.iterdir())):
        raise PackTargetTakenError(to)
    to.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        argv = ["mount", "-t", "squashfs", "-o", "ro,loop,nodev,nosuid", str(file), str(to)]
    else:
        program = shutil.which("squashfuse")
        if program is None:
            raise MountImpossibleError(file, "only root may mount by the kernel, and squashfuse is not here")
        argv = [program, str(file), str(to)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MountImpossibleError(file, next(iter(done.stderr.strip().splitlines()[-1:]), f"{argv[0]} failed"))
    try:
        return _described(to, file)
    except (PackInvalidError, PackMisfitError):
        unmount(to)
        raise


def unmount(directory: Path) -> None:
    """Ends a mount that ``mount`` made."""
    of_fuse = "fusermount3" if shutil.which("fusermount3") else "fusermount"
    argv = ["umount", str(directory)] if os.geteuid() == 0 else [of_fuse, "-u", str(directory)]
    subprocess.run(argv, capture_output=True, check=False)


def _described(prefix: Path, file: Path) -> Pack:
    """What a pack says of itself, once it is certain that this host can run it."""
    described = read_pack(prefix)
    if described is None:
        raise PackInvalidError(file, f"it has no {FILE}")
    check_host(described, file)
    return described


def check_host(described: Pack, file: Path) -> None:
    """Whether this host has what a pack takes from it.

    Raises:
        PackMisfitError: it lacks something; each is named.
    """
    needs = []
    arch = os.uname().machine
    if arch != described.arch:
        needs.append(f"it is for {described.arch}, and this host is {arch}")
    name, _, glibc = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    if described.glibc is not None and name == "glibc" and not at_least(glibc, described.glibc):
        needs.append(f"it needs glibc {described.glibc} or newer, and here is {glibc}")
    needs += [f"its interpreter needs {library}, which is not here" for library in lacking(described.libraries)]
    if needs:
        raise PackMisfitError(file, needs)


def _stem(file: Path) -> str:
    for suffix in _SUFFIXES:
        if file.name.endswith(suffix) and file.name != suffix:
            return file.name.removesuffix(suffix)
    return f"{file.name}.d"
