"""Compiled packages that are incomplete or made for another Python."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.checks.functions import finds, mends, reads
from verl_env.doctor.checks.packages.abi import broken_objects, hit_of
from verl_env.doctor.commands import remedy
from verl_env.doctor.model import Fix, Hit, Remedy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verl_env.doctor.facts import Facts

_PYTHON_TAG = re.compile(r"\bcp3(\d+)-")
_SUFFIX = re.compile(r"\.cpython-3(\d+)-")
_APEX_OPTIONS = (
    "--config-settings '--build-option=--cpp_ext' --config-settings '--build-option=--cuda_ext' "
    "git+https://github.com/NVIDIA/apex"
)


@finds("apex-python-only")
def _apex(facts: Facts) -> Hit | None:
    if facts.target is None or not facts.installed("apex"):
        return None
    built = [shared.path for shared in facts.target.objects if re.search(r"/(?:amp_C|\w+_cuda)\.", shared.path)]
    if any("amp_C" in path for path in built) or any("fused" in path for path in built):
        return None
    return Hit((facts.named("apex"), "no amp_C*.so and no fused_*.so beside it"), severity="warning")


@finds("deepep-load")
def _deep_ep(facts: Facts) -> Hit | None:
    if not facts.installed("deep-ep"):
        return None
    broken = broken_objects(facts, lambda shared: "deep_ep" in shared.path)
    if broken:
        return hit_of(facts, broken, "A15", "DeepEP")
    if facts.target is not None:
        for shared in facts.target.objects:
            missing = facts.target.missing_libraries(shared) if "deep_ep_cpp" in shared.path and shared.elf else []
            lost = [name for name, _ in missing if "nvshmem" in name]
            if lost:
                return Hit((f"{facts.target.relative(shared.path)} needs {lost[0]}", facts.named("deep-ep")))
    other = [value for value in facts.capabilities if value not in {"9.0", "10.0", "10.3"}]
    if other:
        return Hit((f"compute capability {other[0]}",), "DeepEP does not run on this GPU", severity="warning")
    return None


def _te_cores(facts: Facts) -> list[str]:
    return [name for name in ("transformer-engine-cu12", "transformer-engine-cu13") if facts.installed(name)]


@finds("transformer-engine-incomplete")
def _te_parts(facts: Facts) -> Hit | None:
    """A whole TransformerEngine: the meta package, one core of torch's CUDA major, and the torch extension."""
    cores = _te_cores(facts)
    if len(cores) > 1:
        return Hit(tuple(map(facts.named, cores)), "two cores of TransformerEngine are installed")
    if len(cores) == 1 and facts.cuda_major and not cores[0].endswith(f"cu{facts.cuda_major}"):
        evidence = (facts.named(cores[0]), f"torch is built for CUDA {facts.cuda}")
        return Hit(evidence, f"TransformerEngine's core is for CUDA {cores[0][-2:]}, torch for {facts.cuda}")
    if not facts.installed("transformer-engine") or not facts.absent("transformer-engine-torch"):
        return None
    if facts.target and any("transformer_engine_torch" in shared.path for shared in facts.target.objects):
        return None
    return Hit((facts.named("transformer-engine"), "transformer-engine-torch is not installed"))


@mends("transformer-engine-incomplete")
def _whole_te(facts: Facts) -> Remedy:
    major = facts.cuda_major or 12
    version = facts.version("transformer-engine")
    pin = f"=={version.public}" if version else ""
    wanted = f"transformer-engine[pytorch,core_cu{major}]{pin}"
    gone = ("transformer-engine", "transformer-engine-cu12", "transformer-engine-cu13", "transformer-engine-torch")
    names = tuple(name for name in gone if facts.installed(name)) or gone[:1]
    text = "Remove every part of TransformerEngine and install it as a whole."
    return remedy(facts.shell, text, Fix(uninstall=names, install=(wanted,), deps=True, build=True), safe=False)


@finds("foreign-python-wheel")
def _foreign_python(facts: Facts) -> Hit | None:
    """Extensions whose file name or wheel tag is for another CPython."""
    python = facts.python_version
    if python is None:
        return None
    lines = list(_foreign_tags(facts, python.minor))
    if facts.target is not None:
        fitting = _fitting(facts, python.minor)
        for shared in facts.target.objects:
            match = _SUFFIX.search(shared.path.rpartition("/")[2])
            inside = shared.path.startswith(f"{facts.target.site}/") and shared.owner not in fitting
            if match and int(match[1]) != python.minor and inside:
                lines.append(f"{facts.target.relative(shared.path)} is for Python 3.{match[1]}")
    if not lines:
        return None
    return Hit(tuple(lines), f"packages for another Python than {python.major}.{python.minor}")


def _fitting(facts: Facts, minor: int) -> frozenset[str]:
    """Distributions whose wheel is for this Python as a whole; some carry modules for other ones beside theirs."""
    return frozenset(
        one.name
        for one in (facts.target.distributions if facts.target else ())
        if any(_takes(tag, minor) for tag in one.tags)
    )


def _takes(tag: str, minor: int) -> bool:
    """Whether CPython 3.``minor`` takes a wheel of a tag such as ``cp310-abi3-manylinux2014_x86_64``."""
    python, _, rest = tag.partition("-")
    stable = rest.startswith("abi3") and python[:3] == "cp3" and python[3:].isdigit() and int(python[3:]) <= minor
    return python == f"cp3{minor}" or stable


def _foreign_tags(facts: Facts, minor: int) -> Iterator[str]:
    for name, url in facts.urls.items():
        tags = set(_PYTHON_TAG.findall(url)) if url.endswith(".whl") and "abi3" not in url else set()
        if tags and str(minor) not in tags:
            yield f"{name} was installed from a wheel for Python 3.{min(tags)}: {url}"
    if facts.target is None:
        return
    for distribution in facts.target.distributions:
        tags = {tag.split("-")[0] for tag in distribution.tags}
        exact = all(re.fullmatch(r"cp3\d+", tag) for tag in tags) and not any("abi3" in t for t in distribution.tags)
        if tags and exact and f"cp3{minor}" not in tags and _has_modules(facts, distribution.name):
            yield f"{distribution.name} is a wheel for {', '.join(sorted(tags))}"


def _has_modules(facts: Facts, name: str) -> bool:
    """Whether a distribution has extension modules; some wheels only carry a tag of the Python they were made with."""
    shared = facts.target.objects_of(name) if facts.target else ()
    paths = [one.path for one in shared]
    return any(facts.target.is_module(path) for path in paths) if facts.target else False


@reads("foreign-python-wheel")
def _foreign_log(_: Facts, match: re.Match[str]) -> Hit | None:
    """A path that holds both an interpreter and an extension of another one."""
    minor = match["minor"]
    return (
        None if minor == match["ext"] else Hit((), f"an extension for Python 3.{match['ext']} under Python 3.{minor}")
    )


@mends("apex-python-only")
def _whole_apex(facts: Facts) -> Remedy:
    text = "Build apex from its source with both extensions, or turn gradient_accumulation_fusion off."
    build = f"{facts.shell.install(build=True)} {_APEX_OPTIONS}"
    return Remedy(text, (facts.shell.uninstall("apex"), build))
