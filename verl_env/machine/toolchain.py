"""Compilers and build tools: where they are, and which versions."""

from __future__ import annotations

import time

from verl_env.machine import child
from verl_env.machine.executables import find, is_directory, search_path
from verl_env.machine.model import UNKNOWN, Machine, Problem, Toolchain
from verl_env.machine.plain import digits, leading, loads, release
from verl_env.machine.remembered import Remembered
from verl_env.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from verl_env.machine.model import Fact
    from verl_env.machine.process import Outcome
    from verl_env.machine.roots import Roots

#: Seconds that the tools get, side by side, when no deadline is given.
SECONDS = 1.5

_DEFAULT_CUDA = "/usr/local/cuda"
_CUDA_VARIABLES = ("CUDA_HOME", "CUDA_PATH")
#: What shows that a directory is a CUDA toolkit rather than a prefix that happens to hold a program called nvcc.
_CUDA_MARKS = ("version.json", "include/cuda.h", "nvvm/bin", "targets/x86_64-linux", "targets/sbsa-linux")
_HIP_FILES = ("share/hip/version", "bin/.hipVersion")

#: Tools that are on the package index too.
_WHEELS = {"cmake", "ninja"}
_DIST_INFO = ".dist-info"

_NUMBER = r"(\d{1,9}(?:\.\d{1,9}){0,3})"
_HIP_LINE = r"(?m)^HIP_VERSION_(MAJOR|MINOR|PATCH)=(\d{1,9})"


@record
class _Tool:
    """How to ask one tool for its version: arguments, and the pattern of the answer.

    ``file`` knows the names under which the tool itself is installed, so that its answer can be remembered; None for a
    tool whose answer is not its own.
    """

    program: str
    arguments: tuple[str, ...]
    answer: str
    file: Callable[[str], bool] | None = None


def _named(*names: str) -> Callable[[str], bool]:
    """Tests a file name: one of these."""
    return lambda name: name in names


def _compiler(program: str) -> Callable[[str], bool]:
    """Tests a file name: ``gcc``, ``gcc-12`` or ``x86_64-linux-gnu-gcc-12``."""

    def test(name: str) -> bool:
        *prefix, last = name.split("-")
        if prefix and leading(last, "0123456789.") == last != "":
            *prefix, last = prefix
        return last == program and all(prefix)

    return test


_GCC = ("-dumpfullversion", "-dumpversion")
_GCC_ANSWER = rf"(?m)^{_NUMBER}$"
_TOOLS = {
    "nvcc": _Tool("nvcc", ("--version",), rf"(?m)^Cuda compilation tools, release .*\bV{_NUMBER}", _named("nvcc")),
    "gcc": _Tool("gcc", _GCC, _GCC_ANSWER, _compiler("gcc")),
    "gxx": _Tool("g++", _GCC, _GCC_ANSWER, _compiler("g++")),
    "hipcc": _Tool("hipcc", ("--version",), rf"(?m)^HIP version: {_NUMBER}"),
    "cmake": _Tool("cmake", ("--version",), rf"(?m)^cmake version {_NUMBER}", _named("cmake", "cmake3")),
    "ninja": _Tool("ninja", ("--version",), rf"(?m)^{_NUMBER}", _named("ninja", "ninja-build")),
}


def parse_version(fact: str, output: str) -> str | None:
    """The version in the answer of a tool (a fact of ``Toolchain``), or None."""
    import re  # noqa: PLC0415  (most versions are known without asking)

    match = re.search(_TOOLS[fact].answer, output)
    return match[1] if match else None


def parse_cuda_json(text: str) -> str | None:
    """The version of nvcc in a toolkit's ``version.json``, ``"12.4.131"``; None in any other text."""
    try:
        data = loads(text)
    except (ValueError, RecursionError):
        return None
    entry = data.get("cuda_nvcc") if isinstance(data, dict) else None
    version = entry.get("version") if isinstance(entry, dict) else None
    return version if isinstance(version, str) and release(version, 1, 4) else None


def parse_hip_file(text: str) -> str | None:
    """The version in HIP's own version file, ``"6.2.41134"``."""
    import re  # noqa: PLC0415  (most hosts have no such file)

    parts = {match[1]: match[2] for match in re.finditer(_HIP_LINE, text)}
    return f"{parts['MAJOR']}.{parts['MINOR']}.{parts['PATCH']}" if len(parts) == 3 else None  # noqa: PLR2004


def probe_toolchain(roots: Roots, environ: Mapping[str, str], *, deadline: float | None = None) -> Machine:
    """The toolchain as a machine of which nothing else is known.

    A tool that is not there is None; one that is there and does not say its version is unknown, with a problem. A
    version is read from the file that its installation keeps, then remembered of the last time, else asked of the tool.

    Args:
        roots: The host to probe.
        environ: Its environment.
        deadline: The time of ``time.monotonic()`` at which the tools are ended; None for ``SECONDS`` from now.
    """
    until = time.monotonic() + SECONDS if deadline is None else deadline
    paths = _find_tools(roots, environ)
    cuda_home, home_source, home_problems = _cuda_home(roots, environ, paths.get("nvcc"))
    written = _written_versions(roots, paths)
    kept = Remembered(roots, environ)
    remembered = _remembered_versions(kept, {fact: path for fact, path in paths.items() if fact not in written})
    asked = [fact for fact in paths if fact not in {**written, **remembered}]
    outcomes = _ask(roots, environ, [(fact, paths[fact]) for fact in asked], deadline=until)
    versions: dict[str, Fact[str]] = dict.fromkeys(_TOOLS)
    versions.update({fact: version for fact, (version, _) in written.items()} | remembered)
    sources = {f"toolchain.{fact}": source for fact, (_, source) in written.items()}
    sources |= {f"toolchain.{fact}": _question(fact, paths) for fact in (*remembered, *asked)}
    found_problems = list(home_problems)
    for fact, outcome in zip(asked, outcomes, strict=True):
        version, problem = _answer(fact, paths[fact], outcome)
        versions[fact] = version
        found_problems += [problem] if problem else []
        if version and (file := _TOOLS[fact].file):
            kept.keep(paths[fact], file, version)
    kept.save()
    if home_source:
        sources["toolchain.cuda_home"] = home_source
    toolchain = Toolchain(cuda_home=cuda_home, **versions, paths=paths)
    return Machine(toolchain=toolchain, sources=sources, problems=tuple(found_problems))


def _find_tools(roots: Roots, environ: Mapping[str, str]) -> dict[str, str]:
    """The path of each tool that is there; nvcc in the order of torch's extension builder."""
    path = search_path(environ)
    homes = [f"{environ[name].rstrip('/')}/bin" for name in _CUDA_VARIABLES if environ.get(name, "").startswith("/")]
    rocm = [f"{prefix}/bin" for prefix in (environ.get("ROCM_PATH", "").rstrip("/"), "/opt/rocm") if prefix]
    places = {"nvcc": [*homes, *path, f"{_DEFAULT_CUDA}/bin"], "hipcc": [*path, *rocm]}
    found = {fact: find(roots, places.get(fact, path), tool.program) for fact, tool in _TOOLS.items()}
    return {fact: place for fact, place in found.items() if place}


def _cuda_home(
    roots: Roots, environ: Mapping[str, str], nvcc: str | None
) -> tuple[str | None, str | None, tuple[Problem, ...]]:
    """The CUDA toolkit as torch's extension builder finds it: the variables, nvcc's prefix, the default place."""
    problems: list[Problem] = []
    for name in _CUDA_VARIABLES:
        if value := environ.get(name, ""):
            if is_directory(roots, value):
                return value.rstrip("/") or "/", f"${name}", tuple(problems)
            problems.append(Problem("cuda-home-missing", f"{name}={value}: there is no such directory"))
    for home, source in ((nvcc.rpartition("/bin/")[0], nvcc) if nvcc else ("", ""), (_DEFAULT_CUDA, _DEFAULT_CUDA)):
        if home and any(roots.exists(f"{home}/{mark}") for mark in _CUDA_MARKS):
            return home, source, tuple(problems)
    return None, None, tuple(problems)


def _written_versions(roots: Roots, paths: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The versions that installations keep in a file beside the tool, with that file."""
    written: dict[str, tuple[str, str]] = {}
    for fact, names, parse in (("nvcc", ("version.json",), parse_cuda_json), ("hipcc", _HIP_FILES, parse_hip_file)):
        prefix = paths.get(fact, "").rpartition("/bin/")[0]
        for file in [f"{prefix}/{name}" for name in names if prefix]:
            if (text := roots.read(file)) and (version := parse(text)):
                written.setdefault(fact, (version, file))
    for fact in _WHEELS & paths.keys():
        if found := _wheel_version(roots, fact, paths[fact]):
            written[fact] = found
    return written


def _remembered_versions(kept: Remembered, paths: Mapping[str, str]) -> dict[str, str]:
    """What tools that have not changed said when they were last asked."""
    named = ((fact, path, _TOOLS[fact].file) for fact, path in paths.items())
    return {fact: version for fact, path, file in named if file and (version := kept.version(path, file))}


def _question(fact: str, paths: Mapping[str, str]) -> str:
    return " ".join([paths[fact], *_TOOLS[fact].arguments])


def _wheel_version(roots: Roots, fact: str, path: str) -> tuple[str, str] | None:
    """The version of a tool that a wheel brought, and its dist-info; its wrapper takes 100 ms to start Python."""
    library = f"{path.rpartition('/bin/')[0]}/lib"
    for python in roots.names(library):
        site = f"{library}/{python}/site-packages"
        for name in roots.names(site) if python.startswith("python3.") else ():
            if name.startswith(f"{fact}-") and name.endswith(_DIST_INFO):
                version, _, post = name[len(fact) + 1 : -len(_DIST_INFO)].partition(".post")
                if release(version, 1, 4) and digits(post or "0"):
                    return version, f"{site}/{name}"
    return None


def _ask(
    roots: Roots, environ: Mapping[str, str], tools: Sequence[tuple[str, str]], *, deadline: float
) -> tuple[Outcome, ...]:
    argvs = [(roots.path(path), *_TOOLS[fact].arguments) for fact, path in tools]
    return child.run_all(argvs, deadline=deadline, env={**environ, "LC_ALL": "C"}) if argvs else ()


def _answer(fact: str, path: str, outcome: Outcome) -> tuple[Fact[str], Problem | None]:
    """What a tool said; gcc before 7 prints its version and then complains of the newer flag."""
    if isinstance(outcome, child.Completed):
        version = parse_version(fact, outcome.stdout.decode("utf-8", "replace"))
        if version:
            return version, None
        return UNKNOWN, Problem("tool-failed", f"{path} did not say its version (exit code {outcome.returncode})")
    if isinstance(outcome, child.TimedOut | child.Abandoned):
        return UNKNOWN, Problem("tool-timeout", f"{path} gave no answer within {outcome.seconds:.1f} s")
    if isinstance(outcome, child.NotStarted):
        return UNKNOWN, Problem("tool-failed", f"{path} could not be started: {outcome.reason}")
    return None, None
