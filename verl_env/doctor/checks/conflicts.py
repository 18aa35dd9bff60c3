"""Distributions that own each other's files, and single packages that break others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.version import Version

from verl_env.doctor.checks.abi_pairs import in_file
from verl_env.doctor.checks.dependencies import pinning, versions, window
from verl_env.doctor.commands import remedy
from verl_env.doctor.model import Check, Fix, Hit, Remedy

if TYPE_CHECKING:
    import re

    from verl_env.doctor.facts import Facts

_SHOWN = 6
#: Releases of Ray whose command line deep-copies the commands of click (``add_command_alias``).
_COPIES_COMMANDS = "<2.53"
#: The first Python that is known to copy a member of an enumeration as itself, as the sentinels of click 8.3 need it.
_ENUMS_COPY = Version("3.11.7")


def _outlines(facts: Facts) -> Hit | None:
    found = [
        f"{item.package} wants {item.requirement}, installed: {item.installed or 'nothing'}"
        for item in (facts.target.missed if facts.target else ())
        if item.name in {"outlines", "outlines-core"} and item.package in {"vllm", "sglang", "outlines"}
    ]
    return Hit(tuple(found), severity="warning") if found else None


def _otel(facts: Facts) -> Hit | None:
    if facts.matches("ray", ">=2.48") and facts.matches("opentelemetry-sdk", "<1.30"):
        return Hit(versions(facts, "ray", "opentelemetry-sdk", "vllm"))
    return None


def _click(facts: Facts) -> Hit | None:
    """Tried with ``ray --version``: Ray 2.47 to 2.52 fail on Python 3.10 and work on 3.11.7 and 3.12; 2.53 works."""
    if not (facts.matches("click", ">=8.3") and facts.matches("ray", _COPIES_COMMANDS)):
        return None
    python = facts.python_version
    if python is not None and python >= _ENUMS_COPY:
        return None
    certain = python is not None and python < Version("3.11")
    evidence = (*versions(facts, "ray", "click"), f"Python {python or 'unknown'}")
    return Hit(evidence, severity="error" if certain else "warning")


def _pynvml(facts: Facts) -> Hit | None:
    return (
        Hit(versions(facts, "pynvml", "nvidia-ml-py"), severity="warning") if facts.matches("pynvml", "<12") else None
    )


def _pynvml_log(facts: Facts, match: re.Match[str]) -> Hit | None:
    if "infer device" not in match[0]:
        return Hit((), severity="warning")
    return Hit(versions(facts, "pynvml")) if facts.matches("pynvml", "<12") else None


def _one_pynvml(facts: Facts) -> Remedy:
    fix = Fix(uninstall=("pynvml",), install=("nvidia-ml-py",), reinstall=True)
    return remedy(facts.shell, "Remove pynvml and reinstall nvidia-ml-py, which brings the module.", fix)


def _pyext(facts: Facts) -> Hit | None:
    python = facts.python_version
    if facts.installed("pyext") and python is not None and (python.major, python.minor) >= (3, 11):
        return Hit((facts.named("pyext"), f"Python {python}"))
    return None


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


def _pyarrow(facts: Facts) -> Hit | None:
    asked = window(facts, "pyarrow")
    if asked and facts.version("pyarrow") is not None and not facts.matches("pyarrow", asked):
        return Hit((*versions(facts, "verl", "pyarrow"), f"verl wants pyarrow{asked}"))
    return None


def _cupy(facts: Facts) -> Hit | None:
    name = facts.first_of(("cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x"))
    if name is None or facts.cuda_major is None or name.endswith(f"{facts.cuda_major}x"):
        return None
    return Hit((facts.named(name), f"torch is built for CUDA {facts.cuda}"), severity="warning")


def _right_cupy(facts: Facts) -> Remedy:
    wrong = facts.first_of(("cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x"))
    right = f"cupy-cuda{facts.cuda_major or 12}x"
    fix = Fix(uninstall=(wrong,) if wrong and wrong != right else (), install=(right,))
    return remedy(facts.shell, "Install the cupy of torch's CUDA major.", fix)


CHECKS = (
    Check(
        id="outlines-pin",
        theme="dependencies",
        severity="error",
        title="outlines is not the release that the engine wants",
        cause="SGLang and vLLM of that time want different releases of outlines and outlines_core.",
        remedy=Remedy("Install the outlines that the engine pins."),
        covers=("D11",),
        sources=("sglang#2550", "verl PR#5371"),
        find=_outlines,
        log=(r"cannot import name 'build_regex_from_schema' from 'outlines",),
    ),
    Check(
        id="opentelemetry-ray",
        theme="dependencies",
        severity="error",
        title="Ray 2.48 or newer with an opentelemetry before 1.30",
        cause="Ray's metrics agent needs opentelemetry-sdk 1.30; vLLM 0.9 and older pin it below 1.27.",
        remedy=pinning("opentelemetry-sdk", ">=1.30", "Raise opentelemetry, or stay on Ray 2.47."),
        covers=("D13",),
        sources=("ray PR#53745", "vllm#20954", "vllm#18295"),
        find=_otel,
        log=(
            r"RayGaugeWrapper\.__init__\(\) got an unexpected keyword",
            r"ImportError: cannot import name '\w+' from 'opentelemetry",
        ),
    ),
    Check(
        id="click-ray",
        theme="dependencies",
        severity="error",
        title="click 8.3 breaks the command line of this Ray",
        cause=(
            "Ray before 2.53 copies click's commands; those of click 8.3 hold members of an enumeration, which "
            "Python 3.10 cannot copy."
        ),
        remedy=pinning("click", "==8.2.1", "Go back to click 8.2.1, or move to Ray 2.53 or newer."),
        covers=("D14",),
        sources=("ray#56747", "ROLL PR#477", "skypilot PR#9459", "ray metadata (click!=8.3.*)"),
        find=_click,
        log=(r"<object object at 0x[0-9a-f]+> is not a valid Sentinel", r"is not a valid Sentinel"),
    ),
    Check(
        id="pynvml-old",
        theme="dependencies",
        severity="error",
        title="An old pynvml hides the module of nvidia-ml-py",
        cause="The distribution pynvml before 12 owns the module pynvml; engines then see wrong GPUs or none.",
        remedy=_one_pynvml,
        covers=("D15",),
        sources=("vllm#12847", "vllm#9319", "Megatron-Bridge#694"),
        find=_pynvml,
        log=(r"Failed to infer device type", r"The pynvml package is deprecated"),
        from_log=_pynvml_log,
        explains=("no-gpu-here", "file-claimed-twice"),
    ),
    Check(
        id="pyext-getargspec",
        theme="dependencies",
        severity="error",
        title="pyext does not work on this Python",
        cause="pyext uses inspect.getargspec, which Python 3.11 removed.",
        remedy=Remedy("Install a verl that no longer asks for pyext, or leave the prime extra out."),
        covers=("D16",),
        sources=("verl#267",),
        find=_pyext,
        log=(r"module 'inspect' has no attribute 'getargspec'",),
    ),
    Check(
        id="setuptools-pkg-resources",
        theme="dependencies",
        severity="error",
        title="pkg_resources is not there",
        cause="setuptools 82 removed pkg_resources, and nothing else brings it; verl before 0.5 imports it.",
        remedy=pinning("setuptools", "<81", "Install a setuptools that still has pkg_resources."),
        covers=("D17",),
        sources=("vllm metadata (setuptools<81)", "verl PR#2392"),
        find=_setuptools,
        log=(r"No module named '?pkg_resources",),
    ),
    Check(
        id="prerelease-refused",
        theme="dependencies",
        severity="error",
        title="The resolver refuses a pre-release that an engine pins",
        cause="SGLang pinned release candidates of flashinfer exactly; uv takes pre-releases only when it is told to.",
        remedy=Remedy("Allow pre-releases.", ('uv pip install --prerelease=allow "sglang[all]"',)),
        covers=("D18",),
        sources=("Awesome-ML-SYS PR#185",),
        log=(r"there is no version of [\w\[\]-]+==\S*\d(?:rc|a|b|\.dev)\d+", r"with a pre-release marker"),
    ),
    Check(
        id="pyarrow-old",
        theme="dependencies",
        severity="warning",
        title="pyarrow is older than verl asks for",
        cause="datasets and verl need pyarrow 19 or newer.",
        remedy=pinning("pyarrow", ">=19.0.0", "Raise pyarrow."),
        covers=("D19",),
        sources=("verl setup.py", "verl PR#7028"),
        find=_pyarrow,
        log=(r"module 'pyarrow(?:\.lib)?' has no attribute",),
    ),
    Check(
        id="cupy-cuda",
        theme="dependencies",
        severity="error",
        title="cupy is missing or of another CUDA major",
        cause="The NCCL checkpoint engine of verl uses Ray's collectives, which need cupy of torch's CUDA major.",
        remedy=_right_cupy,
        covers=("D21",),
        sources=("verl PR#5377", "verl PR#7334"),
        find=_cupy,
        log=(r"No module named '?cupy", r"(?i)checkpoint engine .{0,60}not registered"),
    ),
)
