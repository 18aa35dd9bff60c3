"""Packs an environment, with its interpreter, into one file."""

from __future__ import annotations

import os
import shutil
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

if TYPE_CHECKING:
    from collections.abc import Callable


def pack(environment: Path, to: Path, note: Callable[[str], None], *, bytecode: bool = True) -> Pack:
    """Packs an environment that verl-env made; the environment stays as it is.

    Args:
        environment: The environment.
        to: The file; its name decides the kind (``image.kind_for``).
        note: Told of each step.
        bytecode: Whether everything is compiled: a read-only prefix never gets any later.

    Raises:
        NotMadeHere: verl-env did not make it.
        PackImpossible: it cannot be packed.
    """
    opened = open_environment(environment)
    generation, state = opened.generation, opened.state
    room = to.with_name(f".{to.name}.{os.getpid()}.d")
    shutil.rmtree(room, ignore_errors=True)
    jobs = len(os.sched_getaffinity(0))
    try:
        room.mkdir(parents=True)
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
        make_image(room, to, kind, jobs)
        return made
    finally:
        shutil.rmtree(room, ignore_errors=True)
