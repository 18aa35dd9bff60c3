"""The environment that builds run in: the lock's packages as they are, and beside them what builds require.

It is a virtual environment of its own in the workshop. Its site-packages holds the build requirements, those that the
lock has too in the lock's version, with their programs in its ``bin``: sources start ``ninja`` and ``python3 -m
pybind11`` before anything of the lock is importable. A ``.pth`` file names the directory with the lock's packages:
those come after its own on ``sys.path``, and nothing of a build gets into the new generation.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from verl_env.environment.installed import normalise, site_packages
from verl_env.installers.base import Batch, Source
from verl_env.plans.reuse import keepable, reuse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from verl_env.builds.model import Job, Lock
    from verl_env.installers.base import Command, Installer
    from verl_env.plans.compare import RequiredDistribution
    from verl_env.plans.reuse import Kept

#: What every build may need: the backend of nearly all, and what old ones import.
_ALWAYS = ("setuptools", "wheel")
_PTH = "verl_env_lock.pth"


def assemble(
    new: Path,
    old: Path | None,
    kept: Sequence[Kept],
    want: Mapping[str, RequiredDistribution],
    place: Path,
    python: str,
) -> Path:
    """The directory with the lock's packages: that of the new generation, or where a part is still in the old, both.

    Packages that a repair keeps get into the new generation only at its end. Then a tree of hard links holds these
    and the new ones together; builds read it, and nothing is installed there.

    Args:
        new: The new generation.
        old: The one in force.
        kept: What the new one takes over from it.
        want: What the new one is to hold.
        place: Where such a tree is made.
        python: The Python of all of them.
    """
    if old is None or not kept:
        return site_packages(new, python)
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "python").symlink_to(new / "bin" / "python")
    reuse(kept, old, place)
    have = keepable(new, python, want)
    reuse([each for each in have if each.name not in {other.name for other in kept}], new, place)
    return site_packages(place, python)


def make(
    place: Path,
    jobs: Sequence[Job],
    lock: Lock,
    by: tuple[Installer, str],
    source: Source,
    run: Callable[[Command], None],
) -> Path:
    """Makes the environment with the requirements of some builds; ``expose`` adds the lock's packages.

    Args:
        place: Where.
        jobs: What is to be built in it.
        lock: Its versions are taken where they satisfy a requirement; its constraints hold.
        by: The installer, and the interpreter that it is made from.
        source: Where the installer takes files from.
        run: Runs a command of the installer, and raises where it fails.

    Returns:
        Its interpreter.
    """
    installer, interpreter = by
    run(installer.make_environment(place, interpreter, "build"))
    name_interpreter(place, lock.python)
    needed = requirements(jobs, lock)
    if needed:
        file, constraints = place / "requirements.txt", place / "constraints.txt"
        file.write_text("".join(f"{line}\n" for line in needed), encoding="utf-8")
        constraints.write_text("".join(f"{line}\n" for line in constraints_of(needed, lock)), encoding="utf-8")
        run(installer.install(place, Batch(file, source, hashes=False, constraints=constraints, dependencies=True)))
    return place / "bin" / "python"


def name_interpreter(place: Path, python: str) -> None:
    """Makes the interpreter of an environment answer to every name that a source may call it by."""
    for name in ("python3", f"python{python}"):
        link = place / "bin" / name
        if not os.path.lexists(link):
            link.symlink_to("python")


def expose(place: Path, sites: Sequence[Path], python: str) -> None:
    """Makes the packages of some directories importable in a build environment, those of the first before others."""
    lines = "".join(f"{site}\n" for site in dict.fromkeys(sites))
    (site_packages(place, python) / _PTH).write_text(lines, encoding="utf-8")


def lock_paths(sites: Sequence[Path], room: Path) -> dict[str, str]:
    """Where compilers find what wheels have of CUDA, after what the toolkit has.

    A toolkit may be there in part (nvcc and the runtime alone), while torch's headers include those of cuBLAS,
    cuSPARSE and others: their wheels have them, of torch's own release. The libraries of wheels lack the name that
    the linker looks for (``libcublas.so``), and get it in a directory.

    Args:
        sites: The directories with the lock's packages and with the build requirements.
        room: An empty directory for such names.

    Returns:
        Directories as ``CPATH`` and ``LIBRARY_PATH`` have them; empty where there are none.
    """
    for library in (each for site in sites for each in sorted(site.glob("nvidia/*/lib/lib*.so.*"))):
        link = room / f"{library.name.partition('.so')[0]}.so"
        if not link.exists():
            link.symlink_to(library)
    headers = [str(path) for site in sites for path in sorted(site.glob("nvidia/*/include"))]
    libraries = [str(room)] if any(room.iterdir()) else []
    found = {"CPATH": ":".join(headers), "LIBRARY_PATH": ":".join(libraries)}
    return {name: value for name, value in found.items() if value}


def requirements(jobs: Sequence[Job], lock: Lock) -> list[str]:
    """What is installed for builds: their requirements, and what all may need.

    A requirement that the lock's version meets takes that version, and one without a version of its own the lockset's
    where it has one for builds.
    """
    found: dict[str, None] = {}
    stated_by_recipes = (each.replace("{cuda}", lock.cuda or "") for job in jobs for each in job.recipe.requires)
    for requirement in [*stated_by_recipes, *_ALWAYS]:
        name = _name(requirement)
        stated = name in {_name(each) for each in found}
        if not (stated and requirement == name):
            found[_as_locked(requirement, lock)] = None
    return list(found)


def _as_locked(requirement: str, lock: Lock) -> str:
    """A requirement in the lock's version where that meets it; where a build constraint says more, as it is."""
    from packaging.requirements import Requirement  # noqa: PLC0415
    from packaging.version import InvalidVersion  # noqa: PLC0415

    parsed = Requirement(requirement)
    name = normalise(parsed.name)
    if name not in lock.packages or name in {_name(line) for line in lock.constraints}:
        return requirement
    try:
        met = parsed.specifier.contains(lock.packages[name], prereleases=True)
    except InvalidVersion:
        return requirement
    extras = f"[{','.join(sorted(parsed.extras))}]" if parsed.extras else ""
    return f"{parsed.name}{extras}=={lock.packages[name]}" if met else requirement


def constraints_of(needed: Sequence[str], lock: Lock) -> list[str]:
    """What limits the requirements of builds: the lockset's constraints, and the lock's versions of what they bring."""
    named = {_name(line) for line in (*lock.constraints, *needed)}
    return [*lock.constraints, *(f"{name}=={version}" for name, version in lock.packages.items() if name not in named)]


def _name(requirement: str) -> str:
    return normalise(re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0])
