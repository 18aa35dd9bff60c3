"""Headers and libraries that a build needs and no index serves: where they are looked for."""

from __future__ import annotations

import os
import re
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.machine.child import Completed, run
from verl_env.machine.executables import find, search_path
from verl_env.machine.roots import Roots

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from verl_env.builds.model import BuildHost, Lock
    from verl_env.components.model import NeededFile

#: Seconds that a compiler wrapper or ldconfig gets to answer.
_SECONDS = 5.0
#: Where the compiler looks by itself, and where packages of distributions put what they bring.
_INCLUDE = ("/usr/local/include", "/usr/include")
_LIBRARY = ("/usr/local/lib", "/usr/local/lib64", "/usr/lib64", "/usr/lib", "/lib64", "/lib")
#: Variables that modules set, each a list of directories.
_INCLUDE_PATHS = ("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH")
_LIBRARY_PATHS = ("LIBRARY_PATH", "LD_LIBRARY_PATH")
_MPI_PREFIXES = ("MPI_HOME", "MPI_ROOT", "OPENMPI_ROOT", "I_MPI_ROOT", "MPICH_DIR", "EBROOTOPENMPI")
_TRIPLETS = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu"}


def find_file(file: NeededFile, host: BuildHost, lock: Lock) -> str | None:
    """Where a header or library is: a path, or the distribution of the lock that will bring it; None if nowhere.

    The order is that in which builds look: the variable of its package, directories of modules and of the compiler,
    CUDA's, a wheel of the lock, and for MPI what its compiler wrapper names.
    """
    found = next((path for path in _places(file, host, lock.arch) if path.exists()), None)
    if found is not None:
        return str(found)
    if file.wheel is not None and file.wheel in lock.packages:
        return f"{file.wheel} {lock.packages[file.wheel]}"
    return _of_wrapper(file, host.environ) if file.name == "mpi.h" else None


def versioned_only(file: NeededFile, host: BuildHost, lock: Lock) -> str | None:
    """The ``libX.so.1`` that is there without the ``libX.so`` which the linker needs; None where there is none."""
    if file.kind != "library":
        return None
    pattern = f"{file.name}.[0-9]*"
    for directory in dict.fromkeys(path.parent for path in _places(file, host, lock.arch)):
        if found := next(iter(sorted(_glob(directory, pattern))), None):
            return str(found)
    return _of_loader(file.name, host.environ)


def _places(file: NeededFile, host: BuildHost, arch: str) -> Iterator[Path]:
    """Every path where the file may be, best first."""
    header = file.kind == "header"
    inner = ("include", "") if header else ("lib", "lib64", "")
    for prefix in _prefixes(file, host):
        yield from (Path(prefix, part, file.name) for part in inner)
    lists = _INCLUDE_PATHS if header else _LIBRARY_PATHS
    listed = (part for name in lists for part in host.environ.get(name, "").split(os.pathsep) if part.startswith("/"))
    own = (*_INCLUDE, *(_multiarch("/usr/include", arch))) if header else (*_LIBRARY, *_multiarch("/usr/lib", arch))
    yield from (Path(directory, file.name) for directory in (*listed, *own))


def _prefixes(file: NeededFile, host: BuildHost) -> Iterator[str]:
    names = [file.variable] if file.variable else []
    names += list(_MPI_PREFIXES) if file.name == "mpi.h" else []
    yield from (value for name in names if (value := host.environ.get(name, "")).startswith("/"))
    home = host.toolchain.cuda_home
    if isinstance(home, str):
        yield home


def _multiarch(base: str, arch: str) -> tuple[str, ...]:
    triplet = _TRIPLETS.get(arch)
    return (f"{base}/{triplet}",) if triplet else ()


def _of_wrapper(file: NeededFile, environ: Mapping[str, str]) -> str | None:
    """The header as MPI's compiler wrapper has it; Open MPI and MPICH print the command they would run."""
    wrapper = find(Roots(), search_path(environ), "mpicc")
    if wrapper is None:
        return None
    for option in ("--showme:compile", "-show"):
        outcome = run([wrapper, option], deadline=time.monotonic() + _SECONDS, env={**environ, "LC_ALL": "C"})
        if not isinstance(outcome, Completed) or outcome.returncode != 0:
            continue
        for directory in _include_directories(outcome.stdout.decode("utf-8", "replace")):
            if Path(directory, file.name).exists():
                return str(Path(directory, file.name))
    return None


def _include_directories(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    return [word[2:] for word in words if word.startswith("-I/")]


def _of_loader(name: str, environ: Mapping[str, str]) -> str | None:
    """A version of a library that the loader's cache knows."""
    program = find(Roots(), (*search_path(environ), "/sbin", "/usr/sbin"), "ldconfig")
    if program is None:
        return None
    outcome = run([program, "-p"], deadline=time.monotonic() + _SECONDS, env={"LC_ALL": "C"})
    if not isinstance(outcome, Completed):
        return None
    text = outcome.stdout.decode("utf-8", "replace")
    match = re.search(rf"^[ \t]+{re.escape(name)}\.\d\S* .* => (/\S+)$", text, re.MULTILINE)
    return match[1] if match else None


def _glob(directory: Path, pattern: str) -> list[Path]:
    try:
        return list(directory.glob(pattern))
    except OSError:
        return []
