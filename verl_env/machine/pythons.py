"""The CPythons that can be the base of an environment, each by the full path of its own executable."""

from __future__ import annotations

import os
import sys
import time

from verl_env.machine import child
from verl_env.machine.executables import is_executable, real_path
from verl_env.machine.model import UNKNOWN, Machine, Problem, PythonInterpreter
from verl_env.machine.plain import cpython, digits
from verl_env.machine.python_places import MINORS, Candidate, candidates
from verl_env.machine.remembered import Remembered
from verl_env.versions import dotted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from verl_env.machine.model import Known
    from verl_env.machine.process import Outcome
    from verl_env.machine.roots import Roots

#: Seconds that the interpreters get, side by side, when no deadline is given.
SECONDS = 1.5

_PROGRAM = (
    "import sys; v = sys.version_info; "
    "print('python', sys.implementation.name, '%d.%d.%d' % v[:3], v[3], sys.maxsize.bit_length(), "
    "sys.abiflags or '-', getattr(sys, '_base_executable', None) or sys.executable)"
)
_ANSWER = r"(?m)^python cpython (3\.\d{1,2}\.\d{1,3}) final 63 - (/.*)$"
_OTHER = r"(?m)^python \w+ [\d.]+ \w+ \d+ \S+ "
_BITS_32 = 1 << 32
#: Bytes below which an interpreter is only the door to a libpython.
_SMALL = 1 << 20


def probe_pythons(roots: Roots, environ: Mapping[str, str], *, deadline: float | None = None) -> Machine:
    """The interpreters as a machine of which nothing else is known: by minor release, the newest patch first.

    A version is taken from the records of whoever installed the interpreter (the managers' directories, conda's
    ``conda-meta``, the header ``patchlevel.h``); only where there is none is the interpreter run. Left out are
    pre-releases, free-threaded and 32-bit builds, PyPy, what does not run, and virtual environments, for which their
    base stands.

    Args:
        roots: The host to probe.
        environ: Its environment.
        deadline: The time of ``time.monotonic()`` at which interpreters are ended; None for ``SECONDS`` from now.
    """
    until = time.monotonic() + SECONDS if deadline is None else deadline
    found = _bases(roots, candidates(roots, environ))
    known = {one.path: one for one in found if one.version}
    kept = Remembered(roots, environ)
    unknown = [one for one in found if not one.version]
    known |= {one.path: _said(one, version) for one in unknown if (version := _recall(roots, kept, one.path))}
    silent = [one for one in unknown if one.path not in known]
    argvs = [(roots.path(one.path), "-I", "-S", "-c", _PROGRAM) for one in silent]
    outcomes = child.run_all(argvs, deadline=until, env=dict(environ)) if argvs else ()
    problems: list[Problem] = []
    for one, outcome in zip(silent, outcomes, strict=True):
        version, base = parse_answer(_text(outcome))
        path = _base(roots, base) or one.path
        if version:
            known.setdefault(path, _said(one, version, path))
            if path == one.path and _is_whole(roots, path):
                kept.keep(path, _is_named, version)
        elif problem := _failure(one.path, outcome):
            problems.append(problem)
    kept.save()
    chosen = sorted(filter(_wanted, known.values()), key=_order)
    sources = {f"pythons[{place}]": one.source for place, one in enumerate(chosen)}
    return Machine(pythons=tuple(_interpreter(roots, one) for one in chosen), sources=sources, problems=tuple(problems))


def parse_answer(text: str) -> tuple[str | None, str]:
    """The version and the base executable that an interpreter printed; None for one that is of no use here."""
    import re  # noqa: PLC0415  (most versions are known without running anything)

    match = re.search(_ANSWER, text)
    return (match[1], match[2].strip()) if match else (None, "")


def parse_patchlevel(text: str) -> str | None:
    """The release of CPython's header ``patchlevel.h``; None for a pre-release."""
    for line in text.splitlines():
        match line.split():
            case ["#define", "PY_VERSION", quoted, *_]:
                version = quoted[1:-1]
                return version if quoted == f'"{version}"' and cpython(version) else None
    return None


def _bases(roots: Roots, places: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Each real interpreter once; the first who names its version counts."""
    found: dict[str, Candidate] = {}
    for place in places:
        path = _base(roots, place.path)
        if path and (path not in found or not found[path].version):
            header = None if place.version else _header_version(roots, path)
            version, source = place.version or (header and header[0]), header[1] if header else place.source
            found[path] = Candidate(path, source, version)
    return tuple(found.values())


def _base(roots: Roots, path: str) -> str | None:
    """The interpreter behind a path: links followed, and a virtual environment's copy traced to its home."""
    real = real_path(roots, path)
    for _ in range(3):
        if real is None or not is_executable(roots, real):
            return None
        prefix, _, name = real.rpartition("/bin/")
        text = roots.read(f"{prefix}/pyvenv.cfg") if prefix else None
        if text is None:
            return real
        assigned = (line.partition("=") for line in text.splitlines() if line.startswith("home"))
        home = next((value.strip() for key, _, value in assigned if key.strip() == "home"), "")
        real = real_path(roots, f"{home}/{name}") if home.startswith("/") else None
    return None


def _header_version(roots: Roots, path: str) -> tuple[str, str] | None:
    """The version in the header installed with an interpreter called ``python3.N``, and that header."""
    prefix, _, name = path.rpartition("/bin/")
    if not _is_named(name):
        return None
    header = f"{prefix}/include/{name}/patchlevel.h"
    version = parse_patchlevel(roots.read(header) or "")
    return (version, header) if version and version.startswith(f"{name[len('python') :]}.") else None


def _recall(roots: Roots, kept: Remembered, path: str) -> str | None:
    """What an interpreter said when it was last run; the one that runs this is asked right here."""
    if roots.root == "/" and path == os.path.realpath(sys.executable):
        final = sys.version_info.releaselevel == "final" and sys.implementation.name == "cpython"
        return "{}.{}.{}".format(*sys.version_info) if final and not sys.abiflags and sys.maxsize > _BITS_32 else None
    return kept.version(path, _is_named) if _is_whole(roots, path) else None


def _is_whole(roots: Roots, path: str) -> bool:
    """Whether an interpreter is all in its file (not in a libpython beside it), with its library at its place."""
    prefix, _, name = path.rpartition("/bin/")
    try:
        size = os.stat(roots.path(path)).st_size  # noqa: PTH116
    except OSError:
        return False
    return size > _SMALL and any(roots.exists(f"{prefix}/{lib}/{name}/os.py") for lib in ("lib", "lib64"))


def _is_named(name: str) -> bool:
    """Whether a program is called ``python3.N``."""
    return name.startswith("python3.") and digits(name.removeprefix("python3."), 2)


def _said(one: Candidate, version: str, path: str = "") -> Candidate:
    return Candidate(path or one.path, f"{one.path} -c ...", version)


def _interpreter(roots: Roots, one: Candidate) -> PythonInterpreter:
    """What is found beside an interpreter: whether it can make environments and compile extensions."""
    version = str(one.version)
    prefix, name = one.path.rpartition("/bin/")[0], f"python{version.rpartition('.')[0]}"
    libraries = (f"{prefix}/{lib}/{name}" for lib in ("lib", "lib64"))
    library = next((place for place in libraries if roots.exists(f"{place}/os.py")), None)
    venv: Known[bool] = roots.exists(f"{library}/ensurepip/__init__.py") if library else UNKNOWN
    headers: Known[bool] = roots.exists(f"{prefix}/include/{name}/Python.h") if library else UNKNOWN
    return PythonInterpreter(version=version, path=one.path, venv=venv, headers=headers)


def _wanted(one: Candidate) -> bool:
    return dotted(str(one.version))[1] in MINORS


def _order(one: Candidate) -> tuple[int, int, str]:
    _, minor, patch = dotted(str(one.version))
    return minor, -patch, one.path


def _text(outcome: Outcome) -> str:
    return outcome.stdout.decode("utf-8", "replace") if isinstance(outcome, child.Completed) else ""


def _is_other(text: str) -> bool:
    import re  # noqa: PLC0415  (as above)

    return re.search(_OTHER, text) is not None


def _failure(path: str, outcome: Outcome) -> Problem | None:
    """A Python that does not run; one that answers and is of no use is no problem."""
    if isinstance(outcome, child.TimedOut | child.Abandoned):
        return Problem("python-broken", f"{path} gave no answer within {outcome.seconds:.1f} s")
    if isinstance(outcome, child.Completed) and not _is_other(_text(outcome)):
        lines = outcome.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = lines[-1][:200] if lines else f"exit code {outcome.returncode}"
        return Problem("python-broken", f"{path} does not run: {reason}")
    if isinstance(outcome, child.NotStarted):
        return Problem("python-broken", f"{path} could not be started: {outcome.reason}")
    return None
