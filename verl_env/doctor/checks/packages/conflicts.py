"""Distributions that own each other's files, and single packages that break others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.version import Version

from verl_env.doctor.checks.functions import finds, mends, reads
from verl_env.doctor.checks.packages.abi_pairs import in_file
from verl_env.doctor.checks.packages.dependencies import window
from verl_env.doctor.commands import remedy
from verl_env.doctor.model import Fix, Hit, Remedy

if TYPE_CHECKING:
    import re

    from verl_env.doctor.facts import Facts

#: Releases of Ray whose command line deep-copies the commands of click (``add_command_alias``).
_COPIES_COMMANDS = "<2.53"
#: The first Python that is known to copy a member of an enumeration as itself, as the sentinels of click 8.3 need it.
_ENUMS_COPY = Version("3.11.7")


@finds("outlines-pin")
def _outlines(facts: Facts) -> Hit | None:
    found = [
        f"{item.package} wants {item.requirement}, installed: {item.installed or 'nothing'}"
        for item in (facts.target.missed if facts.target else ())
        if item.name in {"outlines", "outlines-core"} and item.package in {"vllm", "sglang", "outlines"}
    ]
    return Hit(tuple(found), severity="warning") if found else None


@finds("click-ray")
def _click(facts: Facts) -> Hit | None:
    """Tried with ``ray --version``: Ray 2.47 to 2.52 fail on Python 3.10 and work on 3.11.7 and 3.12; 2.53 works."""
    if not (facts.matches("click", ">=8.3") and facts.matches("ray", _COPIES_COMMANDS)):
        return None
    python = facts.python_version
    if python is not None and python >= _ENUMS_COPY:
        return None
    certain = python is not None and python < Version("3.11")
    evidence = (*facts.versions("ray", "click"), f"Python {python or 'unknown'}")
    return Hit(evidence, severity="error" if certain else "warning")


@reads("pynvml-old")
def _pynvml_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    if "infer device" not in match[0]:
        return Hit((), severity="warning")
    return Hit(facts.versions("pynvml")) if facts.matches("pynvml", "<12") else None


@finds("pyext-getargspec")
def _pyext(facts: Facts) -> Hit | None:
    python = facts.python_version
    if facts.installed("pyext") and python is not None and (python.major, python.minor) >= (3, 11):
        return Hit((facts.named("pyext"), f"Python {python}"))
    return None


@finds("setuptools-pkg-resources")
def _setuptools(facts: Facts) -> Hit | None:
    """A package that imports pkg_resources without a setuptools that has it."""
    if not facts.matches("setuptools", ">=82") and not facts.absent("setuptools"):
        return None
    state = facts.named("setuptools") if facts.installed("setuptools") else "setuptools is not installed"
    if in_file(facts, "verl/__init__.py", r"(?m)^(?:import|from) pkg_resources"):
        return Hit((state, f"verl/__init__.py imports pkg_resources ({facts.named('verl')})"))
    if facts.matches("verl", "<0.5"):
        return Hit((state, facts.named("verl")))
    return None


@finds("pyarrow-old")
def _pyarrow(facts: Facts) -> Hit | None:
    asked = window(facts, "pyarrow")
    if asked and facts.version("pyarrow") is not None and not facts.matches("pyarrow", asked):
        return Hit((*facts.versions("verl", "pyarrow"), f"verl wants pyarrow{asked}"))
    return None


@finds("cupy-cuda")
def _cupy(facts: Facts) -> Hit | None:
    name = facts.first_of(("cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x"))
    if name is None or facts.cuda_major is None or name.endswith(f"{facts.cuda_major}x"):
        return None
    return Hit((facts.named(name), f"torch is built for CUDA {facts.cuda}"), severity="warning")


@mends("cupy-cuda")
def _right_cupy(facts: Facts) -> Remedy:
    wrong = facts.first_of(("cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x"))
    right = f"cupy-cuda{facts.cuda_major or 12}x"
    fix = Fix(uninstall=(wrong,) if wrong and wrong != right else (), install=(right,))
    return remedy(facts.shell, "Install the cupy of torch's CUDA major.", fix)
