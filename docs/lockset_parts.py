"""The parts of a lockset's page, each as lines of Markdown; none where there is nothing to say."""

from __future__ import annotations

import shlex
import textwrap
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from component_pages import anchor
from markup import code, prose, table

from verl_env.choose.fits import supported_gpus
from verl_env.cli.stacks import ranges
from verl_env.locksets.groups import ENGINES, GROUPS, group_of
from verl_env.sizes import human
from verl_env.verify.load import load_parts
from verl_env.verify.training import command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from verl_env.locksets.model import GpuNeed, Lockset, Native, Package, Unmet

#: What else a user of verl asks for first, beside engines, torch and CUDA.
KEY_PACKAGES = frozenset(
    {
        "accelerate",
        "datasets",
        "hydra-core",
        "numpy",
        "opencv-python-headless",
        "outlines",
        "peft",
        "pyarrow",
        "pydantic",
        "ray",
        "setuptools",
        "tokenizers",
        "transformers",
        "wandb",
        "xgrammar",
    }
)


#: Length of a date without a time of day.
DATE = len("2025-01-01")


def mirrors(lockset: Lockset) -> list[str]:
    """The recipe: its path, commit and time."""
    variant = lockset.variant
    unknown = " (the time of day is not recorded)" if len(variant.date) == DATE else ""
    return [
        f"- recipe: `{variant.path}` of verl's repository",
        f"- commit: `{variant.commit}`",
        f"- date: {variant.date}{unknown}",
        f"- verl: {lockset.verl}",
        f"- provides: {', '.join(lockset.provides)}",
    ]


def install(lockset: Lockset) -> list[str]:
    """The commands."""
    if not lockset.pythons:
        return ["It cannot be installed by verl-env: there is no lock."]
    stack = "+".join(lockset.provides)
    commands = [f"$ verl-env {command} --stack {stack} --lockset {lockset.id}" for command in ("plan", "install")]
    less = "A part of the stack asks for less. " if len(lockset.provides) > 1 else ""
    order = ", ".join(lock.python for lock in lockset.pythons)
    python = f"`--python` picks the Python; without it, it is the first of {order} that the machine has."
    return ["```console", *commands, "```", "", f"{less}{python if len(lockset.pythons) > 1 else ''}".strip()]


def contents(lockset: Lockset, packages: Mapping[str, Sequence[Package]]) -> list[str]:
    """Engines, torch, CUDA or ROCm, then the packages that matter most with the version for each Python."""
    stated = {"engines": engines(lockset), "torch": lockset.torch, "for": accelerator(lockset)}
    lines = [f"- {name}: {value}" for name, value in stated.items()]
    versions: dict[str, dict[str, list[str]]] = {}
    for python, pinned in packages.items():
        for package in pinned:
            versions.setdefault(package.name, {}).setdefault(package.version, []).append(python)
    rows = [
        (name, _by_python(versions[name], list(packages)))
        for group in GROUPS
        for name in sorted(versions)
        if group_of(name, ENGINES | lockset.engines.keys()) == group and (group != "others" or name in KEY_PACKAGES)
    ]
    return [*lines, "", *table(("package", "version"), rows)] if rows else lines


def needs(lockset: Lockset) -> list[str]:
    """Architecture, driver or ROCm, glibc and GPUs, each with its source."""
    wanted = lockset.requires
    rows = [("architecture", ", ".join(wanted.arch), "the files of its locks" if lockset.pythons else "the recipe")]
    if wanted.driver:
        toolkit = f"; {wanted.driver.toolkit} or newer for PTX and for all that CUDA {lockset.cuda} has"
        text = f"{wanted.driver.minimum} or newer{toolkit if wanted.driver.toolkit else ''}"
        rows.append(("NVIDIA driver", text, wanted.driver.source))
    if wanted.rocm:
        rows.append(("ROCm", ", ".join(wanted.rocm), "the recipe"))
    if wanted.glibc:
        rows.append(("glibc", f"{wanted.glibc.minimum} or newer", wanted.glibc.source))
    rows += [(f"GPU, for {gpu.component}", _targets(gpu), gpu.source) for gpu in wanted.gpu]
    gpus = ranges(supported_gpus(lockset)) or "not stated"
    every = f"GPUs that every component has code for, but those that only a part of its stacks needs: {gpus}."
    return [*table(("what", "need", "source"), [(what, need, prose(source)) for what, need, source in rows]), "", every]


def pythons(lockset: Lockset, packages: Mapping[str, Sequence[Package]]) -> list[str]:
    """Each Python with its sizes; then what is built, and what comes from an address."""
    rows = [
        (lock.python, str(lock.packages), human(lock.download_bytes), human(lock.disk_bytes), code(lock.file))
        for lock in lockset.pythons
    ]
    lines = table(("Python", "packages", "to download", "on disk", "lock"), rows)
    every = {package.name: package for pinned in packages.values() for package in pinned}
    built = [f"{name} {package.version}" for name, package in sorted(every.items()) if package.source == "sdist"]
    limits = f" with {code(', '.join(lockset.build_constraints))}" if lockset.build_constraints else ""
    if built:
        lines += ["", f"Built from source{limits}: {', '.join(built)}."]
    return [*lines, *_elsewhere({package for pinned in packages.values() for package in pinned if package.url})]


def _elsewhere(packages: AbstractSet[Package]) -> Iterator[str]:
    """What the package index does not hold, by where it comes from and whether its hash is known.

    A host that serves an index is for the lock alone to name: what is of one is listed by its name.
    """
    hosts = {_host(package) for package in packages if package.by_index}
    found: dict[str, list[str]] = {}
    for package in sorted(packages, key=lambda package: (package.name, package.version)):
        indexed = _host(package) in hosts
        where = "another index, whose address the lock has" if indexed else "an address"
        how = "checked by hash" if package.hashes else "no hash of which is recorded (hash-unrecorded)"
        what = f"{package.name} {package.version}" if indexed else str(package.url)
        found.setdefault(f"From {where}, {how}:", []).append(f"- {what}")
    for title in sorted(found):
        yield from ("", title, "", *found[title])


def _host(package: Package) -> str:
    return urlsplit(package.url or "").netloc


def planned(lockset: Lockset) -> list[str]:
    """Why it is no more than planned."""
    return ["", prose(lockset.planned)] if lockset.planned else []


def installs(lockset: Lockset) -> list[str]:
    """Each environment that was made, with its native components and those that it went without."""
    rows = [
        (
            each.date,
            each.python,
            ", ".join(f"{name} {version}" for name, version in each.natives.items()) or "none",
            ", ".join(each.left_out) or "none",
            f"[evidence](../../{each.seen.removeprefix('docs/')})",
            prose(each.note or "-"),
        )
        for each in lockset.installs
    ]
    return table(("date", "Python", "native components", "left out", "seen", "note"), rows)


def proofs(lockset: Lockset) -> list[str]:
    """Each run of ``verl-env verify``, with what came of its parts."""
    rows = [
        (
            each.date[:DATE],
            each.python,
            f"{each.gpus} x {each.gpu}" if each.gpu else "none",
            each.driver or "-",
            *(
                ", ".join(part for part, state in each.parts.items() if state == wanted) or "none"
                for wanted in ("passed", "failed")
            ),
            ", ".join(f"{name} {version}" for name, version in each.natives.items()) or "none",
        )
        for each in lockset.proofs
    ]
    return table(("date", "Python", "GPU", "driver", "passed", "failed", "native components"), rows)


def trainings(lockset: Lockset) -> list[str]:
    """The command of each training that was proved, with the most native components that it was proved with."""
    seen = {
        part: proof
        for proof in sorted(lockset.proofs, key=lambda proof: len(proof.natives))
        for part, state in proof.parts.items()
        if state == "passed"
    }
    lines = []
    for part in load_parts():
        if part.train and (proof := seen.get(part.id)):
            natives = " and ".join(f"{name} {version}" for name, version in proof.natives.items()) or "nothing built"
            where = f"{part.train.gpus} x {proof.gpu}, driver {proof.driver}, with {natives}"
            words = command(part.train, {"verl": lockset.verl, **proof.natives})
            lines += [f"On {where} ({proof.date[:DATE]}), {part.title}:", "", *_shell(words), ""]
    return [*lines, "The model was tiny; the batch sizes and the share of memory are for that."] if lines else []


def _shell(words: Sequence[str]) -> list[str]:
    """A command of several lines, with names of the reader's own in the place of the proof's files."""
    places = {"{models}/dense": "MODEL", "{models}/": "", "{programs}/": "", "{work}/": ""}
    for name, place in places.items():
        words = [word.replace(name, place) for word in words]
    text = shlex.join(["verl-env", "run", "--", "python", *words])
    lines = textwrap.wrap(text, 100, break_long_words=False, break_on_hyphens=False, subsequent_indent="  ")
    return ["    " + line for line in " \\\n".join(lines).splitlines()]


def variables(lockset: Lockset) -> list[str]:
    """The environment variables that the recipe sets."""
    rows = [(code(name), code(value) if value else "(empty)") for name, value in lockset.env.items()]
    return table(("variable", "value"), rows)


def natives(lockset: Lockset) -> list[str]:
    """Every native component, one below the other."""
    if lockset.pythons and not lockset.natives:
        return ["None: the index has a wheel or a small source distribution of everything."]
    return [line for native in lockset.natives for line in _native(native)]


def deviations(lockset: Lockset) -> list[str]:
    """What the lock has in place of what the recipe says."""
    rows = [(each.package, prose(each.recipe), prose(each.locked), prose(each.reason)) for each in lockset.deviations]
    return table(("package", "the recipe says", "the lock has", "why"), rows) or ["Nowhere that is known."]


def unmet(lockset: Lockset) -> list[str]:
    """One row for what is unmet for the same reason on several Pythons."""
    found: dict[Unmet, list[str]] = {}
    for lock in lockset.pythons:
        for each in lock.unmet:
            found.setdefault(each, []).append(lock.python)
    rows = [
        (each.package, code(each.requires), each.installed, prose(each.reason), ", ".join(having))
        for each, having in found.items()
    ]
    none = ["None."] if lockset.pythons else []
    return table(("package", "asks for", "there is", "why it stays", "Python"), rows) or none


def checks(lockset: Lockset) -> list[str]:
    """The ids of the checks, by where they can run."""
    places = {"on every machine": None, "where there is a GPU": "gpu"}
    found = {place: [check.id for check in lockset.checks if check.needs == need] for place, need in places.items()}
    return [f"- {place}: {', '.join(ids)}" for place, ids in found.items() if ids]


def notes(lockset: Lockset) -> list[str]:
    """The notes, one below the other."""
    return [f"- {prose(note)}" for note in lockset.notes]


def engines(lockset: Lockset) -> str:
    """The engines with their versions, on one line."""
    return ", ".join(f"{name} {version}" for name, version in lockset.engines.items()) or "-"


def accelerator(lockset: Lockset) -> str:
    """``CUDA 12.4`` or ``ROCm 6.3``."""
    name, version = ("CUDA", lockset.cuda) if lockset.accelerator == "cuda" else ("ROCm", lockset.rocm)
    return f"{name} {version or '(release not stated)'}"


def _targets(gpu: GpuNeed) -> str:
    text = ", ".join(gpu.targets) or (f"{gpu.minimum} or newer" if gpu.minimum else "not stated")
    return f"{text}, and PTX of the highest" if gpu.ptx else text


def _native(native: Native) -> Iterator[str]:
    """What it is, why it is native, for which stacks, and where its wheels and its build are described."""
    yield from (f"### {native.name} {native.version}", "", f"- why: {prose(native.reason)}")
    yield f"- needed for: {', '.join(native.needed_for) or 'every stack'}"
    if native.env:
        variables = ", ".join(code(f"{name}={value}") for name, value in native.env.items())
        yield f"- the image sets for its build: {variables}"
    place = f"../../components.md{anchor(f'{native.name} {native.version}')}"
    yield from (f"- published wheels and builds: [{native.name} {native.version}]({place})", "")


def _by_python(found: Mapping[str, Sequence[str]], every: Sequence[str]) -> str:
    """``"1.0"`` where every Python has it, else each version with its Pythons."""
    if list(found.values()) == [every]:
        return next(iter(found))
    return ", ".join(f"{version} ({', '.join(having)})" for version, having in found.items())
