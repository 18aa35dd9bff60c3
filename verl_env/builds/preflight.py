"""What would make builds fail, found in seconds and all at once, before anything is downloaded or compiled."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.builds.jobs import job_memory
from verl_env.builds.model import BuildProblem
from verl_env.builds.needs import find_file, versioned_only
from verl_env.builds.sources import is_cached
from verl_env.components.toolchain import compiler_words, gcc_below
from verl_env.machine.child import Completed, run
from verl_env.machine.model import UNKNOWN
from verl_env.sizes import free_bytes, human
from verl_env.versions import at_least, is_dotted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from verl_env.builds.model import BuildHost, Job, Lock, Places
    from verl_env.components.model import Catalogue, Tool

#: Room in TMPDIR that a build takes where nobody has measured it, in bytes.
UNMEASURED_DISK = 2 << 30
#: Tools that may come as a wheel into the build environment.
_FROM_INDEX = ("cmake", "ninja")
_SECONDS = 10.0
_HEADERS = "import os, sysconfig; print(os.path.join(sysconfig.get_path('include'), 'Python.h'))"
_HINTS = {
    "nvcc": "load the CUDA toolkit of torch (module load cuda) or set CUDA_HOME; or take a wheel: --native prebuilt",
    "gcc": "load another compiler (module avail gcc) or set CC and CXX; or take a wheel: --native prebuilt",
    "cmake": "pip install cmake, or: module load cmake",
    "ninja": "pip install ninja, or: module load ninja",
    "hipcc": "load ROCm (module load rocm) or set ROCM_PATH",
}


def preflight(
    jobs: Sequence[Job],
    host: BuildHost,
    lock: Lock,
    places: Places,
    *,
    catalogue: Catalogue,
    offline: bool = False,
) -> tuple[BuildProblem, ...]:
    """Every problem of every build; empty where all of them can begin.

    Args:
        jobs: What is to be built.
        host: Where.
        lock: What it is built for.
        places: Where sources are kept.
        catalogue: Which compilers each CUDA release takes.
        offline: Whether sources must be in the cache.
    """
    if not jobs:
        return ()
    found = [problem for job in jobs for problem in _of_job(job, host, lock, catalogue, places)]
    found += _of_temporary_directory(jobs, host)
    found += _of_python(jobs, lock)
    if offline:
        found += [
            BuildProblem(
                "source-offline",
                job.build.name,
                f"offline, and the source of {job.name} ({job.recipe.source}) is not in {places.sources}",
                "run it once with a network, or take a wheel: --wheelhouse DIR",
            )
            for job in jobs
            if not is_cached(job, places)
        ]
    return tuple(dict.fromkeys(found))


def _of_job(job: Job, host: BuildHost, lock: Lock, catalogue: Catalogue, places: Places) -> Iterator[BuildProblem]:
    for tool in job.recipe.tools:
        yield from _of_tool(tool, job, host, lock)
    if any(tool.name == "nvcc" for tool in job.recipe.tools):
        yield from _of_compiler_pair(host, catalogue)
    yield from _of_files(job, host, lock)
    if job.targets == "":
        variable = job.recipe.arch_variable
        message = f"{job.name}: no GPU is known that it could be compiled for by the nvcc at hand ({variable} is empty)"
        yield BuildProblem("gpu-targets-unknown", job.build.name, message, "say which: --gpu h100 (or sm_90, gfx942)")
    from_git = job.recipe.source.startswith("git+") and not is_cached(job, places)
    if from_git and shutil.which("git", path=host.environ.get("PATH")) is None:
        hint = "install git, or: module load git"
        yield BuildProblem("git-missing", job.build.name, f"{job.name} is fetched with git, which is not here", hint)
    if host.memory is not None:
        need = job_memory(job.recipe, host.environ, len((job.targets or "").split(";")))
        if host.memory < need:
            message = f"one compiler job of {job.name} takes {human(need)}, and {human(host.memory)} are free"
            hint = "ask for more memory (srun --mem=...), or set NVCC_THREADS=1, or take a wheel: --native prebuilt"
            yield BuildProblem("build-memory-low", job.build.name, message, hint)


def _of_tool(tool: Tool, job: Job, host: BuildHost, lock: Lock) -> Iterator[BuildProblem]:
    """A tool against its range; a version that is not known is no problem."""
    if tool.name in _FROM_INDEX and _brought(tool.name, job, lock):
        return
    have = _version(tool.name, host)
    hint = _HINTS.get(tool.name, f"install {tool.name}, or: module avail {tool.name}")
    if tool.name == "nvcc" and (words := compiler_words(lock.cuda)):
        hint = f"{words}; or take a wheel: --native prebuilt, or one in a directory: --wheelhouse DIR"
    because = f" ({tool.reason})" if tool.reason else ""
    if have is None:
        message = f"{job.name} needs {tool.name}, and there is none{because}"
        yield BuildProblem(f"{tool.name}-missing", job.build.name, message, hint)
        return
    if not is_dotted(have):
        return
    if tool.minimum is not None and not at_least(have, tool.minimum):
        message = f"{job.name} needs {tool.name} {tool.minimum} or newer, and here it is {have}{because}"
        yield BuildProblem(f"{tool.name}-too-old", job.build.name, message, hint)
    if tool.below is not None and at_least(have, tool.below):
        message = f"{job.name} needs {tool.name} before {tool.below}, and here it is {have}{because}"
        yield BuildProblem(f"{tool.name}-too-new", job.build.name, message, hint)
    if (fault := _of_release(tool, have, job, lock)) is not None:
        yield BuildProblem(f"{tool.name}-major-mismatch", job.build.name, fault, hint)


def _of_release(tool: Tool, have: str, job: Job, lock: Lock) -> str | None:
    """What is wrong with a tool that must be of the release of torch's CUDA or ROCm; None where nothing is."""
    release = {"cuda": lock.cuda, "rocm": lock.rocm}.get(tool.same_major_as or "")
    places = 2 if tool.exact else 1
    if not release or have.split(".")[:places] == release.split(".")[:places]:
        return None
    kind = "CUDA" if tool.same_major_as == "cuda" else "ROCm"
    what = "release" if tool.exact else "major release"
    because = tool.reason or f"{job.name} is built with the {what} of torch"
    return f"torch {lock.torch} is for {kind} {release}, and {tool.name} here is {have}: {because}"


def _of_compiler_pair(host: BuildHost, catalogue: Catalogue) -> Iterator[BuildProblem]:
    """Whether nvcc takes the host compiler."""
    nvcc, gcc = _version("nvcc", host), _version("gcc", host)
    if not nvcc or not gcc or not is_dotted(gcc):
        return
    below = gcc_below(catalogue, nvcc)
    if below is not None and at_least(gcc, below):
        message = f"nvcc {nvcc} takes gcc before {below}, and gcc here is {gcc}"
        yield BuildProblem("gcc-too-new", "", message, _HINTS["gcc"])


def _of_files(job: Job, host: BuildHost, lock: Lock) -> Iterator[BuildProblem]:
    for file in job.recipe.files:
        if find_file(file, host, lock) is not None:
            continue
        where = f"; or set {file.variable} to where it is" if file.variable else ""
        alone = versioned_only(file, host, lock)
        if alone is not None:
            message = f"{job.name} links with {file.name}, and there is only {alone}"
            hint = f"the name for the linker comes with the development package of {file.package}{where}"
            yield BuildProblem("library-link-missing", job.build.name, message, hint)
            continue
        message = f"{job.name} needs {file.name}, which is not found"
        hint = f"{file.name} comes with {file.package}: load its module, or install it{where}"
        yield BuildProblem(f"{file.kind}-missing", job.build.name, message, hint)


def _of_temporary_directory(jobs: Sequence[Job], host: BuildHost) -> Iterator[BuildProblem]:
    """Builds are made below TMPDIR: it must have room, and let programs run (configure scripts do)."""
    place = Path(host.environ.get("TMPDIR") or tempfile.gettempdir())
    hint = "give another directory: TMPDIR=/path/with/room verl-env install ..."
    if not os.access(place, os.W_OK | os.X_OK):
        yield BuildProblem("tmpdir-unwritable", "", f"builds are made below {place}, which may not be written", hint)
        return
    if os.statvfs(place).f_flag & os.ST_NOEXEC:
        yield BuildProblem(
            "tmpdir-noexec", "", f"builds are made below {place}, where no program may run (noexec)", hint
        )
    need = max(job.recipe.disk_bytes or UNMEASURED_DISK for job in jobs)
    free = free_bytes(place)
    if free < need:
        message = f"builds are made below {place}: {human(free)} are free there, and {human(need)} are needed"
        yield BuildProblem("build-disk-full", "", message, hint)


def _of_python(jobs: Sequence[Job], lock: Lock) -> Iterator[BuildProblem]:
    """Whether the interpreter has its headers, where something is compiled for it."""
    if lock.interpreter is None or not any(job.recipe.product == "wheel" and job.recipe.tools for job in jobs):
        return
    outcome = run([lock.interpreter, "-I", "-c", _HEADERS], deadline=time.monotonic() + _SECONDS)
    if not isinstance(outcome, Completed) or outcome.returncode != 0:
        return
    header = outcome.stdout.decode("utf-8", "replace").strip()
    if not Path(header).is_file():
        hint = (
            f"install python{lock.python}-dev (python3-devel), or take another Python: uv python install {lock.python}"
        )
        yield BuildProblem(
            "python-headers-missing", "", f"{lock.interpreter} has no headers ({header} is not there)", hint
        )


def _brought(name: str, job: Job, lock: Lock) -> bool:
    """Whether the build environment brings a tool as a wheel, by itself or with the lock."""
    required = {re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower() for requirement in job.recipe.requires}
    return name in required or name in lock.packages


def _version(tool: str, host: BuildHost) -> str | None:
    """The version of a tool: ``""`` where it is there and does not say; None where it is not there."""
    fact = getattr(host.toolchain, {"g++": "gxx"}.get(tool, tool), UNKNOWN)
    if fact is None or isinstance(fact, str):
        return fact
    if tool in host.toolchain.paths or shutil.which(tool, path=host.environ.get("PATH")) is not None:
        return ""
    return None
