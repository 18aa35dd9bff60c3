"""What a lockset and its recipe hold of the recorded facts of their Docker variant, and what they do not.

A recipe's step stands for a step of the image where its title begins with the number that the facts give it
(``"7: what verl uses"``), with a word before it for a step of the parent image (``"base 9: ..."``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from verl_env.components.model import Catalogue
    from verl_env.components.model import Recipe as Build
    from verl_env.locksets.model import Lockset, Native
    from verl_env.locksets.recipe import LocksetRecipe, RecipeStep

#: Variants that are the parent of others, and the word before the numbers of their steps.
PARENTS = {"verl0.4-base": "base", "seed001-vemlp-vllm-te": "vemlp"}

#: Keys of ``pins`` that are not the name of the distribution.
DISTRIBUTIONS = {"flashinfer": "flashinfer-python", "cudnn_pip": "nvidia-cudnn-cu12"}

#: What the facts call a native component, where its own distribution has another name.
COMPONENTS = {"deepep": "deep-ep"}

#: How image tags abbreviate distributions.
TAGS = {"th": "torch", "te": "transformer-engine", "mcore": "megatron-core", "megatron": "megatron-core"}

_TAGGED = re.compile(r"(?:^|-)(?P<name>[a-z]+)(?P<version>\d+(?:\.\d+)+(?:\.?[a-z]+\d+)?)")
_NUMBERED = re.compile(r"(?:(?P<parent>\w+) )?(?P<number>\d+): ")


@dataclass(frozen=True)
class Held:
    """A lockset with its recipe and, for each Python, its packages: versions by name."""

    lockset: Lockset
    recipe: LocksetRecipe
    locks: Mapping[str, Mapping[str, str]]
    catalogue: Catalogue

    @property
    def words(self) -> str:
        """Everything that it says in prose or passes to a build."""
        natives = [word for native in self.lockset.natives for word in (*self.told(native), native.reason)]
        return "\n".join([*self.lockset.notes, *natives, *(step.title for step in self.recipe.steps)])

    def recipes(self, native: Native) -> tuple[Build, ...]:
        """How a component of the lockset is built."""
        release = self.catalogue.components[native.name].release(native.version)
        return release.recipes if release else ()

    def told(self, native: Native) -> list[str]:
        """What is said of the build of a component: in words, and the variables and settings of it."""
        found = [f"{name}={value}" for name, value in native.env.items()]
        for recipe in self.recipes(native):
            found += [*recipe.settings, *recipe.notes, *recipe.patches, *(file.name for file in recipe.files)]
            found += [recipe.source, *(f"{name}={value}" for name, value in recipe.env.items())]
        return found

    def native(self, name: str) -> Native | None:
        canonical = canonicalize_name(name)
        wanted = COMPONENTS.get(canonical, canonical)
        return next((native for native in self.lockset.natives if canonicalize_name(native.name) == wanted), None)

    def step(self, parent: str, number: int) -> RecipeStep | None:
        for step in self.recipe.steps:
            found = _NUMBERED.match(step.title)
            if found and (found["parent"] or "") == parent and int(found["number"]) == number:
                return step
        return None


@dataclass(frozen=True)
class Difference:
    """Something stated of a variant that the lockset does not hold; ``subject`` is what a deviation must name."""

    subject: str
    stated: str


def silent_differences(variant: dict[str, Any], parents: list[dict[str, Any]], held: Held) -> list[Difference]:
    """Every difference that no deviation of the lockset explains."""
    explained = {canonicalize_name(deviation.package) for deviation in held.lockset.deviations}
    found = [*origin(variant, held), *environment(variant, held), *pins(variant, held), *additions(held)]
    found += image_tags(variant, held)
    for each in [*parents, variant]:
        found += steps(each, held)
    return [difference for difference in found if canonicalize_name(difference.subject) not in explained]


def origin(variant: dict[str, Any], held: Held) -> Iterator[Difference]:
    """Path, commit, day, accelerator and the image's Python."""
    source, base, lockset = variant["source"], variant["base"], held.lockset
    said = (lockset.variant.path, lockset.variant.commit, lockset.variant.date[:10], lockset.accelerator)
    stated = (source["path"], source["commit"], source["commit_date"], base["accelerator"])
    yield from (Difference("variant", str(fact)) for fact, own in zip(stated, said, strict=True) if fact != own)
    if base.get("rocm") and base["rocm"] != lockset.rocm:
        yield Difference("rocm", base["rocm"])
    python = base["python"]
    if python and python not in held.locks and (held.locks or f"Python, {python}" not in held.words):
        yield Difference("python", python)


def image_tags(variant: dict[str, Any], held: Held) -> Iterator[Difference]:
    """Releases that the tag of the published image names: where the Dockerfile says otherwise, a note tells."""
    tags = [variant["source"][key] for key in ("image_tag", "doc_image", "ci_image") if key in variant["source"]]
    for found in (each for tag in tags for each in _TAGGED.finditer(tag.partition(":")[2])):
        name = canonicalize_name(TAGS.get(found["name"], found["name"]))
        stated = Version(found["version"]).release
        own = set(versions(name, held))
        agree = all(Version(version).release[: len(stated)] == stated for version in own)
        if not agree and found["version"] not in held.words:
            yield Difference(name, f"{found[0].lstrip('-')} in the image tag")


def versions(name: str, held: Held) -> Iterator[str]:
    """The releases of a distribution that a lockset has: built ones, else those of each lock."""
    native = held.native(name)
    if native is not None:
        yield native.version
        return
    yield from (lock[name] for lock in held.locks.values() if name in lock)


def environment(variant: dict[str, Any], held: Held) -> Iterator[Difference]:
    """Run-time variables, either way."""
    stated = variant["env"]["runtime"]
    for name in sorted(stated.keys() | held.lockset.env.keys()):
        if stated.get(name) != held.lockset.env.get(name):
            yield Difference(name, f"{name}={stated.get(name)}")


def pins(variant: dict[str, Any], held: Held) -> Iterator[Difference]:
    """The end state that the facts sum up."""
    for key, pin in variant["pins"].items():
        if pin is None:
            continue
        name = canonicalize_name(DISTRIBUTIONS.get(key, key))
        spec = (pin["spec"] or "*").partition("+")[0] if pin["how"] == "wheel" else pin["spec"] or "*"
        if not _is_held(name, pin["how"], spec, held):
            yield Difference(name, f"{pin['how']} {spec}")


def _is_held(name: str, how: str, spec: str, held: Held) -> bool:
    native = held.native(name)
    if how in {"git", "context"}:
        return native is not None
    if held.lockset.tier == "recorded":
        stated = {"torch": held.lockset.torch, **held.lockset.engines}.get(name)
        return how == "index" or stated in {spec, "unknown"}
    specifiers = specifiers_of(spec)
    if native is not None:
        return native.version in specifiers or specifiers == SpecifierSet()
    return all(name in lock and specifiers.contains(lock[name], prereleases=True) for lock in held.locks.values())


def specifiers_of(spec: str) -> SpecifierSet:
    """``"==2.6.0"``, a bare version, or ``"*"``, as specifiers; a local version is left out."""
    public = spec.partition("+")[0]
    try:
        return SpecifierSet(f"=={Version(public)}")
    except InvalidVersion:
        return SpecifierSet("" if public == "*" else public)


def steps(variant: dict[str, Any], held: Held) -> Iterator[Difference]:
    """Every step, by kind, in both directions."""
    parent = PARENTS.get(variant["id"], "")
    mirrors = {step["url"] for step in variant["steps"] if step["kind"] == "config" and "url" in step}
    for step in variant["steps"]:
        own = held.step(parent, step["n"])
        if step["kind"] in {"pip-index", "find-links"}:
            yield from _index_step(step, own, mirrors)
        elif step["kind"] in {"wheel-url", "sdist-source"}:
            yield from _wheel_step(step, own, held)
        elif step["kind"] in {"git-source", "local-source", "build"}:
            yield from _source_step(step, held)
        elif step["kind"] == "uninstall":
            yield from _uninstall_step(step, own, _before(own, parent, step["n"], held))
        elif step["kind"] == "system" and "native" not in step:
            yield from _system_step(step, held)
        elif step["kind"] not in {"config", "system"}:
            yield Difference(step["kind"], "a kind of step that nothing here compares")
        if any("AutoFix" in line for line in step.get("post", ())) and "AutoFix" not in held.words:
            yield Difference("opencv-fixer", "AutoFix()")


def additions(held: Held) -> Iterator[Difference]:
    """What steps of our own bring: a deviation must name each package, or speak of it in its reason."""
    reasons = " ".join(deviation.reason for deviation in held.lockset.deviations)
    for step in held.recipe.steps:
        if not _NUMBERED.match(step.title):
            for line in step.install:
                name = Requirement(line).name
                if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", reasons):
                    yield Difference(name, f"{line} ({step.title})")


def _index_step(step: dict[str, Any], own: RecipeStep | None, mirrors: set[str]) -> Iterator[Difference]:
    stated = {_plain(line) for line in step["requirements"]}
    held = {_plain(line) for line in own.install} if own else set()
    for line in sorted(stated ^ held):
        yield Difference(Requirement(line).name, line)
    names = [Requirement(line).name for line in sorted(stated)]
    unquoted = {_plain(line) for line in step.get("unquoted_in_shell", ())}
    for line in unquoted ^ {_plain(line) for line in (own.unquoted if own else ())}:
        yield Difference(Requirement(line).name, f"unquoted {line}")
    for flag in ("upgrade", "no_deps"):
        if own and step.get(flag, False) is not getattr(own, flag):
            yield from (Difference(name, flag) for name in names)
    index = step.get("index_url")
    if index and index not in mirrors and (own is None or own.index_url != index):
        yield from (Difference(name, index) for name in names)
    page = step.get("find_links")
    if page and (own is None or page not in own.find_links):
        yield Difference(page.rstrip("/").rsplit("/", 1)[-1], page)


def _plain(line: str) -> str:
    """A requirement without its marker, in one spelling."""
    requirement = Requirement(line)
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{canonicalize_name(requirement.name)}{extras}{requirement.specifier}"


def _wheel_step(step: dict[str, Any], own: RecipeStep | None, held: Held) -> Iterator[Difference]:
    """A wheel by address, or a release that is built from its source archive."""
    if "url" in step:
        name, version = parse_wheel_filename(step["url"].rsplit("/", 1)[-1])[:2]
        native = held.native(name)
        release = held.catalogue.components[native.name].release(native.version) if native else None
        if release is None or step["url"] not in {wheel.url for wheel in release.wheels}:
            yield Difference(name, step["url"])
        stated = [(name, Version(version.public))]
    else:
        lines = [Requirement(line) for line in step["requirements"]]
        stated = [(canonicalize_name(line.name), Version(next(iter(line.specifier)).version)) for line in lines]
        for name, _ in stated:
            yield from _build(name, step, held)
    virtual = {(canonicalize_name(each.name), Version(each.version)) for each in (own.virtual if own else ())}
    yield from (Difference(name, str(version)) for name, version in stated if (name, version) not in virtual)


def _source_step(step: dict[str, Any], held: Held) -> Iterator[Difference]:
    native = held.native(step["name"])
    if native is None or step["kind"] == "local-source":
        yield Difference(step["name"], step.get("url", step["kind"]))
        return
    if "url" in step:
        built = [recipe.source.removeprefix("git+").partition("@") for recipe in held.recipes(native)]
        if (step["url"].removesuffix(".git"), step["ref"]) not in {
            (place.removesuffix(".git"), ref or None) for place, _, ref in built
        }:
            yield Difference(step["name"], f"{step['url']} at {step['ref']}")
    yield from _build(step["name"], step, held)


def _build(name: str, step: dict[str, Any], held: Held) -> Iterator[Difference]:
    """Settings and variables of a build; each of ours is without isolation and dependencies, of as many jobs as fit."""
    native = held.native(name)
    needs = " ".join(held.told(native)) if native else ""
    env = {name: value for name, value in step.get("env", {}).items() if name != "MAX_JOBS"}
    wanted = [*step.get("config_settings", [])]
    wanted += [name if "/" in value else f"{name}={value}" for name, value in env.items()]
    yield from (Difference(name, words) for words in wanted if words not in needs)


def _uninstall_step(step: dict[str, Any], own: RecipeStep | None, before: set[str]) -> Iterator[Difference]:
    removed = {canonicalize_name(name) for name in own.uninstall} if own else set()
    for name in map(canonicalize_name, step["packages"]):
        if name not in removed and (own is not None or name in before):
            yield Difference(name, "uninstalled")


def _before(own: RecipeStep | None, parent: str, number: int, held: Held) -> set[str]:
    """What earlier steps of the recipe name; an uninstall of anything else concerns the base image alone."""
    names: set[str] = set()
    for step in held.recipe.steps:
        found = _NUMBERED.match(step.title)
        if step is own or (found and (found["parent"] or "") == parent and int(found["number"]) > number):
            break
        names.update(canonicalize_name(Requirement(line).name) for line in step.install)
        names.update(canonicalize_name(virtual.name) for virtual in step.virtual)
    return names


def _system_step(step: dict[str, Any], held: Held) -> Iterator[Difference]:
    """What is no Python package: its release must be spoken of, and its variables too."""
    if step["what"] == "apt":
        return
    wanted = re.findall(r"\d+(?:[.-]\d+)+", step["what"])
    wanted += [link.rsplit("/", 1)[-1] for link in step.get("links", ())]
    wanted += [f"{name}={value}" for name, value in step.get("env", {}).items()]
    yield from (Difference(step["what"], words) for words in wanted if words not in held.words)
