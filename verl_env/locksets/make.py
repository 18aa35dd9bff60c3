"""Making the files of a lockset from its recipe, and saying where recipe and replay disagree."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from zlib import crc32

import tomli_w
from packaging.utils import canonicalize_name

from verl_env.constraints import read_bytes
from verl_env.locksets import catalogue
from verl_env.locksets.errors import RecipeMismatchError
from verl_env.locksets.evidence import evidence
from verl_env.locksets.load import LOCKSET_FILE, SCHEMA, digest_of, includes, read_toml
from verl_env.locksets.replay import Replay
from verl_env.locksets.target import LockTarget, glibc_of
from verl_env.locksets.unmet import ABSENT, unmet_requirements
from verl_env.locksets.write import LEAST_GLIBC, file_name, lock_files, package_of
from verl_env.records import record
from verl_env.versions import at_least, dotted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from verl_env.locksets.index import Index
    from verl_env.locksets.model import Package
    from verl_env.locksets.recipe import LocksetRecipe
    from verl_env.locksets.replay import MakeResolver, Pinned
    from verl_env.locksets.unmet import UnmetRequirement


@record
class PythonResult:
    """The replay for one Python: what is locked (no virtual components), and what stays unmet."""

    target: LockTarget
    pins: tuple[Pinned, ...]
    unmet: tuple[UnmetRequirement, ...]

    def version(self, name: str) -> str:
        """The locked version of a package, or ``"absent"``."""
        return next((pin.version for pin in self.pins if pin.name == canonicalize_name(name)), ABSENT)


def make_lockset(
    recipe: LocksetRecipe, index: Index, resolver: MakeResolver, say: Callable[[str], None] = lambda _: None
) -> dict[str, str]:
    """The files of a lockset, by name: lockset.toml and one constraints file per Python.

    Args:
        recipe: the inputs.
        index: where packages come from.
        resolver: resolves its steps.
        say: told of every step.

    Raises:
        RecipeMismatchError: the recipe states something that the replay proves wrong, or leaves something unsaid.
        ReplayError: and the other errors of ``Replay.run``.
    """
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda python: replay_python(recipe, python, index, resolver, say), recipe.pythons))
    if problems := list(disagreements(recipe, results)):
        raise RecipeMismatchError(recipe.id, problems)
    least = recipe.glibc_minimum or LEAST_GLIBC
    packages = {each.target.python: [package_of(pin, each.target, least) for pin in each.pins] for each in results}
    return lockset_files(recipe, packages, [_lock_table(recipe, result) for result in results])


def lockset_files(
    recipe: LocksetRecipe, packages: Mapping[str, Sequence[Package]], tables: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    """The files of a lockset by name, from the packages for each Python and the tables of its locks.

    Names and hashes of constraints files in the tables are put right.
    """
    files = lock_files(recipe, packages)
    contents = {name: text.encode() for name, text in files.items()}
    locks = []
    for table in tables:
        name = file_name([table["python"]])
        parts = [contents[each] for each in (name, *includes(contents[name]))]
        locks.append({**table, "file": name, "sha256": digest_of(parts)})
    return {**files, LOCKSET_FILE: lockset_text(recipe, locks)}


def lockset_text(recipe: LocksetRecipe, locks: Sequence[Mapping[str, Any]]) -> str:
    """lockset.toml: what the recipe says, how far it was tried, and the table of each Python's lock."""
    head = "# Written by verl-env lock from recipe.toml and a replay of its steps; do not edit.\n"
    return head + tomli_w.dumps({"schema": SCHEMA, **recipe.identity, **evidence(recipe), "pythons": list(locks)})


def replay_python(
    recipe: LocksetRecipe, python: str, index: Index, resolver: MakeResolver, say: Callable[[str], None]
) -> PythonResult:
    """The replay of a recipe for one Python; raises what ``Replay.run`` raises."""
    target = LockTarget(python, recipe.arch, recipe.glibc)
    installed = Replay(recipe, target, index, resolver, say).run()
    pins = tuple(pin for _, pin in sorted(installed.items()) if not pin.virtual)
    return PythonResult(target, pins, unmet_requirements(installed, target.markers))


def disagreements(recipe: LocksetRecipe, results: Sequence[PythonResult]) -> Iterator[str]:
    """Every statement of a recipe that its replay proves wrong, and everything that it leaves unsaid."""
    if not results:
        return
    stated = {"torch": recipe.identity["torch"], "verl": recipe.identity["verl"], **recipe.identity["engines"]}
    natives = {canonicalize_name(native["name"]) for native in recipe.identity.get("natives", ())}
    for name, version in stated.items():
        locked = locked_versions(name, results)
        if locked != version and canonicalize_name(name) not in natives:
            yield f"{name} is stated as {version}, the replay gives {locked}"
    for deviation in recipe.identity.get("deviations", ()):
        locked = locked_versions(deviation["package"], results)
        if locked != deviation["locked"] and canonicalize_name(deviation["package"]) not in natives:
            yield f"the deviation of {deviation['package']} says {deviation['locked']}, the replay gives {locked}"
    yield from _unexplained(recipe, results)
    for result in results:
        yield from _glibc_too_low(recipe, result)


def locked_versions(name: str, results: Sequence[PythonResult]) -> str:
    """The version of a package in words: one where all Pythons agree, else each with its Pythons."""
    pythons: dict[str, list[str]] = {}
    for result in results:
        pythons.setdefault(result.version(name), []).append(result.target.python)
    if len(pythons) == 1:
        return next(iter(pythons))
    return ", ".join(f"{version} ({', '.join(on)})" for version, on in pythons.items())


def _unexplained(recipe: LocksetRecipe, results: Sequence[PythonResult]) -> Iterator[str]:
    """Unmet requirements without a reason, and reasons without such a requirement."""
    found = {(missed.package, missed.name): missed for result in results for missed in result.unmet}
    reasons = {_unmet_key(known.package, known.requires) for known in recipe.unmet}
    for key in sorted(found.keys() - reasons):
        missed = found[key]
        yield f"{missed.package} requires {missed.requires}, there is {missed.installed}, and no [[unmet]] says why"
    for package, name in sorted(reasons - found.keys()):
        yield f"[[unmet]] says that {package} misses {name}, and it does not"


def _glibc_too_low(recipe: LocksetRecipe, result: PythonResult) -> Iterator[str]:
    """Packages that no installer takes on the least glibc that the recipe claims, going by their tags."""
    if not recipe.glibc_minimum:
        return
    for pin in result.pins:
        need = tag_glibc(pin, result.target)
        if need and not at_least(recipe.glibc_minimum, need):
            yield f"glibc {recipe.glibc_minimum} is stated as enough, but {pin.name} {pin.version} is tagged {need}"


def tag_glibc(pin: Pinned, target: LockTarget) -> str | None:
    """The least glibc with which some wheel of a release is installed, going by tags; None where any will do.

    A source archive beside wheels is no way out: building it asks for compilers that nobody stated.
    """
    needs = []
    for file in pin.files:
        fitting = [glibc_of(tag) for tag in file.tags if tag in target.tags]
        if None in fitting:
            return None
        needs += [glibc for glibc in fitting if glibc]
    return min(needs, key=dotted, default=None)


def _lock_table(recipe: LocksetRecipe, result: PythonResult) -> dict[str, Any]:
    reasons = {_unmet_key(known.package, known.requires): known.reason for known in recipe.unmet}
    table = {
        "python": result.target.python,
        "file": "",
        "sha256": "",
        "packages": len(result.pins),
        "download_bytes": sum(pin.facts.download_bytes for pin in result.pins if pin.facts),
        "disk_bytes": sum(pin.facts.disk_bytes for pin in result.pins if pin.facts),
    }
    unmet = [
        {
            "package": missed.package,
            "requires": missed.requires,
            "installed": missed.installed,
            "reason": reasons[missed.package, missed.name],
        }
        for missed in result.unmet
    ]
    return {**table, **({"unmet": unmet} if unmet else {})}


def _unmet_key(package: str, requires: str) -> tuple[str, str]:
    return canonicalize_name(package), canonicalize_name(requires)


def catalogue_text(root: Path) -> str:
    """catalogue.json for the lockset.toml files that are there."""
    entries = {
        name: {"crc32": crc32(read_bytes(file)), "lockset": read_toml(file)}
        for name, file in catalogue.lockset_files(root)
    }
    return json.dumps({"schema": catalogue.SCHEMA, "locksets": entries}, ensure_ascii=False, indent=0) + "\n"
