"""The variables that a build runs with: the user's, the recipe's, and where everything is."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.builds.jobs import VARIABLE as JOBS
from verl_env.builds.jobs import nvcc_threads
from verl_env.installers.index import pip_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verl_env.builds.model import BuildHost, Job

#: ``{prefix:nvshmem}``, ``{source:gdrcopy}``, ``{site}``, ``{jobs}``, ``{cuda}``.
_PLACEHOLDER = re.compile(r"\{(?:(?:prefix|source):[\w.-]+|site|jobs|cuda)\}")
#: What toolkits call their targets.
_TARGETS = ("x86_64-linux", "sbsa-linux")
#: What of the user's variables changes what compilers make; part of the key of a result.
FLAGS = ("CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "NVCC_APPEND_FLAGS", "NVCC_PREPEND_FLAGS")


def filled(text: str, values: Mapping[str, str]) -> str:
    """A text of a recipe with its placeholders replaced.

    Args:
        text: Such as ``{prefix:nvshmem}/lib``.
        values: By placeholder without braces: ``{"prefix:nvshmem": "/...", "site": "/...", "jobs": "4"}``.

    Raises:
        KeyError: a placeholder that has no value here.
    """
    return _PLACEHOLDER.sub(lambda match: values[match[0][1:-1]], text)


def build_variables(
    job: Job, host: BuildHost, *, python: Path, room: Path, values: Mapping[str, str]
) -> dict[str, str]:
    """The whole environment of a build.

    The recipe's variables count, but for one that names where a header or library is: there the user knows better.

    Args:
        job: What is built.
        host: The tools, and the user's variables.
        python: The interpreter of the build environment; its programs go before all others.
        room: A directory for temporary files.
        values: What placeholders stand for.
    """
    env = pip_environment(host.environ)
    stated = {file.variable for file in job.recipe.files if file.variable and host.environ.get(file.variable)}
    recipe = {**job.recipe.env, **job.build.env}
    env |= {name: filled(value, values) for name, value in recipe.items() if name not in stated}
    env |= _tools(host, env, python, cuda_home=recipe.get("CUDA_HOME"))
    env |= {JOBS: str(job.jobs), "CMAKE_BUILD_PARALLEL_LEVEL": str(job.jobs)}
    if threads := nvcc_threads(job.recipe, host.environ):
        env["NVCC_THREADS"] = str(threads)
    if job.recipe.arch_variable and job.targets is not None:
        env[job.recipe.arch_variable] = job.targets
    return env | {
        "TMPDIR": str(room),
        "PYTHONNOUSERSITE": "1",
        "PYTHONPYCACHEPREFIX": str(room / "pycache"),
        "PYTHONUNBUFFERED": "1",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_NO_COLOR": "1",
    }


def _tools(host: BuildHost, env: Mapping[str, str], python: Path, cuda_home: str | None) -> dict[str, str]:
    """The search path with the build environment and CUDA first, and where CUDA is, unless the recipe says it."""
    home = host.toolchain.cuda_home if cuda_home is None else None
    first = [str(python.parent)]
    found = {}
    if isinstance(home, str):
        first.append(f"{home}/bin")
        found["CUDA_HOME"] = home
        found |= _headers_of_targets(home, env)
    return {**found, "PATH": os.pathsep.join([*first, env.get("PATH", os.defpath)])}


def _headers_of_targets(home: str, env: Mapping[str, str]) -> dict[str, str]:
    """Headers and libraries of a toolkit that has them by target, as conda-forge has: nvcc finds them, gcc not."""
    target = next((path for name in _TARGETS if (path := Path(home, "targets", name)).is_dir()), None)
    if target is None or Path(home, "include", "cuda_runtime.h").exists():
        return {}
    places = {"CPATH": target / "include", "LIBRARY_PATH": target / "lib"}
    return {name: os.pathsep.join(filter(None, (env.get(name), str(place)))) for name, place in places.items()}
