"""Distributions that own each other's files, and installs that are not whole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.version import Version

from verl_env.command_line import quoted
from verl_env.doctor.checks.functions import finds, mends
from verl_env.doctor.checks.packages.patches import RUNTIME
from verl_env.doctor.commands import remedy
from verl_env.doctor.engines.record import is_cut
from verl_env.doctor.facts import parse_version
from verl_env.doctor.model import Fix, Hit, Remedy

if TYPE_CHECKING:
    from verl_env.doctor.engines.record import Clash
    from verl_env.doctor.facts import Facts
    from verl_env.environment.damage import Damage


_SHOWN = 6
_OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
#: Clashes that another check names.
_NAMED_CLASHES = ("cv2/", "flash_attn/cute/", "nvidia/nccl/", "nvidia/cudnn/", "triton/")
_HARMLESS_PATHS = (
    *("../", "tests/", "test/", "docs/", "examples/", "share/", "LICENSE", "README"),
    *("setup.py", "build_backend.py", "conftest.py"),
)


@finds("opencv-builds")
def _opencv(facts: Facts) -> Hit | None:
    there = [name for name in _OPENCV if facts.installed(name)]
    found = {facts.packages[name] for name in there}
    if len(there) < 2 or len(found) < 2 or None in found:  # noqa: PLR2004  one build, or one version
        return None
    return Hit(facts.versions(*there))


@mends("opencv-builds")
def _one_opencv(facts: Facts) -> Remedy:
    there = tuple(name for name in _OPENCV if facts.installed(name)) or _OPENCV[:2]
    locked = tuple(f"{name}=={facts.locked[name]}" for name in _OPENCV if name in facts.locked)
    if locked:
        text = "Remove every build of OpenCV and install the one of the lockset."
        return remedy(facts.shell, text, Fix(uninstall=there, install=locked, reinstall=True))
    text = "Remove every build of OpenCV and install one headless one."
    known = [version for name in there if (version := facts.version(name))]
    version = facts.version("opencv-python-headless") or max(known, default=None)
    wanted = f"opencv-python-headless=={version}" if version else "opencv-python-headless"
    return remedy(facts.shell, text, Fix(uninstall=there, install=(wanted,), reinstall=True))


@finds("file-claimed-twice")
def _claimed(facts: Facts) -> Hit | None:
    """Files of packages that two distributions claim with different contents, unless another check names them."""
    found = [
        clash
        for clash in (facts.target.clashes if facts.target else ())
        if not clash.path.startswith((*_HARMLESS_PATHS, *_NAMED_CLASHES))
        and not _is_namespace(clash)
        and not _are_layers(facts, clash.owners)
    ]
    pairs: dict[tuple[str, ...], list[str]] = {}
    for clash in found:
        pairs.setdefault(tuple(sorted(set(clash.owners))), []).append(clash.path)
    lines = [f"{' and '.join(owners)}: {len(paths)} files, such as {paths[0]}" for owners, paths in pairs.items()]
    return Hit(tuple(lines[:_SHOWN])) if lines else None


def _are_layers(facts: Facts, owners: tuple[str, ...]) -> bool:
    """Whether all owners but one require another of them in one release: they are made to be laid over it."""
    upper = {
        one.name
        for one in (facts.target.distributions if facts.target else ())
        if one.name in owners
        for line in one.requires
        for lower in set(owners) - {one.name}
        if re.match(rf"{re.escape(lower)}\s*\(?==", line)
    }
    return len(set(owners) - upper) == 1


def _is_namespace(clash: Clash) -> bool:
    """A top-level ``__init__.py`` that every member of a family of packages brings."""
    return clash.path.count("/") <= 1 and clash.path.endswith("__init__.py")


@finds("files-damaged")
def _damaged(facts: Facts) -> Hit | None:
    """Recorded files that are gone or cut, and libraries that are no longer whole."""
    target = facts.target
    if target is None:
        return None
    broken = [
        f"{target.relative(one.path)} {one.error} ({one.owner or 'unrecorded'})" for one in target.objects if one.error
    ]
    serious = [one for one in target.damages if _is_code(one) and one.distribution != RUNTIME]
    lines = [f"{one.distribution}: {target.relative(one.path)} ({one.detail})" for one in serious]
    if not lines and not broken:
        return None
    owners = tuple(dict.fromkeys([one.distribution for one in serious]))
    return Hit((*broken, *lines)[: _SHOWN * 2], remedy=_again(facts, owners) if owners else None)


def _is_code(damage: Damage) -> bool:
    """A library, or a module that is gone or cut; an edited module is somebody's patch."""
    if damage.path.endswith(".py"):
        return damage.what == "missing" or is_cut(damage)
    return re.search(r"\.so(\.\d+)*$", damage.path) is not None


@finds("files-edited")
def _edited(facts: Facts) -> Hit | None:
    """Modules of another size that are whole."""
    target = facts.target
    edited = [one for one in (target.damages if target else ()) if one.path.endswith(".py") and not _is_code(one)]
    found = [one for one in edited if one.distribution != RUNTIME]  # no index has it: hook-damaged
    if target is None or not found:
        return None
    return Hit(tuple(f"{one.distribution}: {target.relative(one.path)} ({one.detail})" for one in found[: _SHOWN * 2]))


def _again(facts: Facts, names: tuple[str, ...]) -> Remedy:
    wanted = [f"{name}=={facts.packages[name]}" if facts.packages.get(name) else name for name in names]
    return remedy(facts.shell, "Reinstall what is damaged.", Fix(install=tuple(wanted), reinstall=True))


@finds("install-dirty")
def _dirty(facts: Facts) -> Hit | None:
    lines = [f"{name}: {' and '.join(found)}" for name, found in facts.duplicates.items()]
    if facts.target is not None:
        for site in facts.target.sites:
            lines += [f"{site.path}/{name} is left over from a broken install" for name in site.leftovers]
            lines += [f"{one.path} has no metadata" for one in site.distributions if one.version is None]
    return Hit(tuple(lines[:_SHOWN])) if lines else None


def _newest(found: tuple[str, ...]) -> str:
    """The newest version of several; what an interrupted upgrade meant to leave."""
    return max(found, key=lambda text: parse_version(text) or Version("0"))


@mends("install-dirty")
def _clean(facts: Facts) -> Remedy:
    names = tuple(facts.duplicates)
    text = "Remove each package until none of its versions is left, then install it once; delete the leftovers."
    sites = () if facts.target is None else facts.target.sites
    leftovers = [quoted("rm", "-r", f"{site.path}/{name}") for site in sites for name in site.leftovers]
    if not names:
        return Remedy("Delete the leftovers." if leftovers else text, tuple(leftovers))
    commands = [facts.shell.uninstall(*names), facts.shell.uninstall(*names)]
    commands.append(facts.shell.install(*(f"{name}=={_newest(facts.duplicates[name])}" for name in names)))
    return Remedy(text, (*commands, *leftovers))
