"""Packs an environment, with its interpreter, into one file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import verl_env
from verl_env.additions.environment import base_interpreter, open_environment
from verl_env.bundle.packing.image import kind_for, make_image
from verl_env.bundle.packing.interpreter import ask, copy_interpreter
from verl_env.bundle.packing.listing import measure, write_listing
from verl_env.bundle.packing.model import FILE, Pack, to_bytes
from verl_env.bundle.packing.needs import needs_of
from verl_env.bundle.packing.prefix import compile_all, copy_packages
from verl_env.bundle.packing.room import put_in_place, room_beside
from verl_env.environment.errors import DiskFullError
from verl_env.environment.files import hard_links_work
from verl_env.install.disk import free_room
from verl_env.sizes import existing

if TYPE_CHECKING:
    from collections.abc import Callable

#: The file and the bytecode in it, of what an environment takes: 3.96 and 0.65 of 8.25 GiB (docs/evidence.md).
_OF_IMAGE = 0.55


def pack(environment: Path, to: Path, note: Callable[[str], None], *, bytecode: bool = True) -> Pack:
    """Packs an environment that verl-env made; the environment stays as it is.

    Args:
        environment: The environment.
        to: The file; its name decides the kind (``image.kind_for``).
        note: Told of each step.
        bytecode: Whether everything is compiled: a read-only prefix never gets any later.

    Raises:
        NotMadeHereError: verl-env did not make it.
        PackImpossibleError: it cannot be packed.
        DiskFullError: there is no room for it.
    """
    opened = open_environment(environment)
    generation, state = opened.generation, opened.state
    jobs = len(os.sched_getaffinity(0))
    _check_room(generation, existing(to.absolute().parent))
    to.parent.mkdir(parents=True, exist_ok=True)
    with room_beside(to) as place:
        room = place / "prefix"
        room.mkdir(mode=0o755)
        note(f"copying Python {state.python} and the packages")
        copy_interpreter(ask(Path(base_interpreter(generation)), environment), state.python, room)
        copy_packages(generation, state.python, room)
        if bytecode:
            note("compiling")
            compile_all(room, state.python, jobs)
        needs = needs_of(room, state.python)
        files, size = measure(room)
        made = Pack(
            lockset=state.lockset,
            stack=state.stack,
            python=state.python,
            arch=os.uname().machine,
            glibc=needs.glibc,
            libraries=needs.libraries,
            optional=needs.optional,
            files=files,
            bytes=size,
            tool=verl_env.__version__,
            made=str(opened.target.path),
        )
        (room / FILE).write_bytes(to_bytes(made))
        write_listing(room)
        kind = kind_for(to)
        note(f"writing {files} files into one ({kind})")
        make_image(room, place / "image", kind, jobs)
        put_in_place(place / "image", to)
        return made


def _check_room(generation: Path, place: Path) -> None:
    """Whether the file fits, and the prefix where it cannot be made of hard links."""
    size = measure(generation)[1]
    need = int(size * (_OF_IMAGE if hard_links_work(generation, place) else 1 + _OF_IMAGE))
    free = free_room(place)
    if free.bytes < need:
        raise DiskFullError(place, need=need, free=free.bytes, by=free.bytes_by)
