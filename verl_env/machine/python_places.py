"""Where Python interpreters are: PATH, the system, and the usual managers."""

from __future__ import annotations

from verl_env.machine.executables import is_executable, search_path
from verl_env.machine.plain import cpython
from verl_env.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from verl_env.machine.roots import Roots

#: The minor releases of Python 3 that are looked for.
MINORS = range(9, 15)

_SYSTEM = ("/usr/bin", "/usr/local/bin")
_CONDA_HOMES = ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba", ".conda")
_CONDA_SYSTEM = ("/opt/conda", "/opt/miniconda3", "/opt/miniforge3", "/opt/anaconda3")
#: Names of pyenv for what is no release of CPython: Python 2, pre-releases, free-threaded builds, other Pythons.
_OTHER_PYTHON = (
    *"0123456789",
    "pypy",
    "graalpy",
    "graalpython",
    "jython",
    "ironpython",
    "micropython",
    "stackless",
    "pyston",
    "cinder",
    "nogil",
)


@record
class Candidate:
    """A program that may be a Python, who says so, and its version where that one's records state it."""

    path: str
    source: str
    version: str | None = None


def candidates(roots: Roots, environ: Mapping[str, str]) -> Iterator[Candidate]:
    """Every place that holds an executable, the managers first: they know the version."""
    home = environ.get("HOME", "").rstrip("/")
    places = (_pyenv(roots, environ, home), _uv(roots, environ, home), _versioned(roots, environ, home))
    for found in (*places, _conda(roots, environ, home), _path(environ)):
        for candidate in found:
            if is_executable(roots, candidate.path):
                yield candidate


def _pyenv(roots: Roots, environ: Mapping[str, str], home: str) -> Iterator[Candidate]:
    """The versions of pyenv; its shims fail for every version that is not selected."""
    directory = f"{environ.get('PYENV_ROOT') or f'{home}/.pyenv'}/versions"
    for name in roots.names(directory):
        if cpython(name):
            yield Candidate(f"{directory}/{name}/bin/python", "pyenv", name)
        elif not name.startswith(_OTHER_PYTHON):
            yield Candidate(f"{directory}/{name}/bin/python", "pyenv", _conda_version(roots, f"{directory}/{name}"))


def _uv(roots: Roots, environ: Mapping[str, str], home: str) -> Iterator[Candidate]:
    """The CPythons of uv for glibc; other builds (musl, free-threaded, pre-releases, PyPy) run none of the wheels."""
    data = environ.get("XDG_DATA_HOME") or f"{home}/.local/share"
    directory = environ.get("UV_PYTHON_INSTALL_DIR") or f"{data}/uv/python"
    for name in roots.names(directory):
        match name.split("-"):
            case ["cpython", version, "linux", _, "gnu"] if cpython(version):
                yield Candidate(f"{directory}/{name}/bin/python3", "uv", version)


def _versioned(roots: Roots, environ: Mapping[str, str], home: str) -> Iterator[Candidate]:
    """The versions of asdf and mise, whose directories are named by them."""
    mise = environ.get("MISE_DATA_DIR") or f"{home}/.local/share/mise"
    asdf = environ.get("ASDF_DATA_DIR") or f"{home}/.asdf"
    for manager, directory in (("mise", f"{mise}/installs/python"), ("asdf", f"{asdf}/installs/python")):
        for name in roots.names(directory):
            if cpython(name):
                yield Candidate(f"{directory}/{name}/bin/python3", manager, name)


def _conda(roots: Roots, environ: Mapping[str, str], home: str) -> Iterator[Candidate]:
    """The environments of conda and its kin; which Python an environment has stands in its ``conda-meta``."""
    bases = [environ.get("MAMBA_ROOT_PREFIX", ""), environ.get("CONDA_EXE", "").rpartition("/bin/")[0]]
    bases += [f"{home}/{name}" for name in _CONDA_HOMES] + list(_CONDA_SYSTEM)
    listed = (roots.read(f"{home}/.conda/environments.txt") or "").splitlines()
    prefixes = [environ.get("CONDA_PREFIX", ""), *(line.strip() for line in listed)]
    for base in dict.fromkeys(filter(None, bases)):
        prefixes += [base, *(f"{base}/envs/{name}" for name in roots.names(f"{base}/envs"))]
    for prefix in dict.fromkeys(place.rstrip("/") for place in prefixes if place.startswith("/")):
        version = _conda_version(roots, prefix)
        if version:
            yield Candidate(f"{prefix}/bin/python", "conda", version)


def _conda_version(roots: Roots, prefix: str) -> str | None:
    """The CPython of a conda environment; None for one without, and for builds that are PyPy or free-threaded."""
    for name in roots.names(f"{prefix}/conda-meta"):
        match name.removesuffix(".json").split("-"):
            case ["python", version, build] if cpython(version) and not build.endswith(("pypy", "t")):
                return version
    return None


def _path(environ: Mapping[str, str]) -> Iterator[Candidate]:
    """``python3.N`` and ``python3`` on PATH and in the system's places; shims of version managers are left out."""
    names = [*(f"python3.{minor}" for minor in MINORS), "python3"]
    for directory in dict.fromkeys((*search_path(environ), *_SYSTEM)):
        if not directory.rstrip("/").endswith("/shims"):
            yield from (Candidate(f"{directory.rstrip('/')}/{name}", "PATH") for name in names)
