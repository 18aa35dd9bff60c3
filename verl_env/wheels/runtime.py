"""Builds ``verl-env-runtime`` into a wheel: the same bytes each time for the same source and lockset."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.environment.record import record_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "verl-env-runtime"
#: Everything below it goes into site-packages.
SOURCE = Path(__file__).parents[1] / "runtime" / "src"

#: The module that ``verl_env.pth`` imports at every start of the interpreter.
HOOK = "_verl_env_boot"
#: The files that every interpreter of an environment reads at its start.
STARTED = ("verl_env.pth", f"{HOOK}.py")

_PACKAGE = "verl_env_runtime"
_METADATA = """\
Metadata-Version: 2.1
Name: {name}
Version: {version}
Summary: The part of verl-env that lives in the environments it makes
License: Apache-2.0
Requires-Python: >=3.9
"""
#: vLLM calls this in each of its processes; the hook has mostly been there before it.
_ENTRY_POINTS = """\
[vllm.general_plugins]
verl_env = verl_env_runtime:install
"""
_WHEEL = """\
Wheel-Version: 1.0
Generator: verl-env
Root-Is-Purelib: true
Tag: py3-none-any
"""


def runtime_version() -> str:
    """The version of the runtime distribution, as its source states it."""
    text = (SOURCE / _PACKAGE / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return found[1] if found else "0"


def is_whole(site: Path) -> bool:
    """Whether what interpreters read at their start is there as our source has it, byte by byte."""
    return all((site / name).read_bytes() == (SOURCE / name).read_bytes() for name in STARTED)


def fingerprint(lockset: str) -> str:
    """A digest of what the wheel for a lockset holds; changes when and only when that does."""
    from hashlib import sha256  # noqa: PLC0415 (the start-up path of plan imports this module)

    digest = sha256()
    for name, content in _contents(lockset).items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def build(lockset: str, directory: Path) -> Path:
    """Writes the wheel for a lockset into a directory.

    Returns:
        The path of the wheel.

    Raises:
        OSError: it cannot be written.
    """
    from zipfile import ZIP_STORED, ZipFile, ZipInfo  # noqa: PLC0415

    contents = _contents(lockset)
    contents[f"{_dist_info()}/RECORD"] = _record(contents)
    wheel = directory / f"{_PACKAGE}-{runtime_version()}-py3-none-any.whl"
    # Stored, not deflated: zlib's output differs from one version to the next.
    with ZipFile(wheel, "w", ZIP_STORED) as archive:
        for name, content in contents.items():
            entry = ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content)
    return wheel


def bytecode_command(python: Path, site: Path) -> tuple[str, ...]:
    """The command that compiles the hook of an installed runtime.

    Without bytecode the hook costs each start 16 times as much. The rest is imported only with vLLM, and compiled then.
    """
    code = "import py_compile, sys; py_compile.compile(sys.argv[1], doraise=True)"
    return (str(python), "-I", "-S", "-c", code, str(site / f"{HOOK}.py"))


def _dist_info() -> str:
    return f"{_PACKAGE}-{runtime_version()}.dist-info"


def _contents(lockset: str) -> dict[str, bytes]:
    """Every file of the wheel but RECORD, by name."""
    files = [path for path in SOURCE.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    contents = {path.relative_to(SOURCE).as_posix(): path.read_bytes() for path in files}
    contents[f"{_PACKAGE}/lockset.txt"] = f"{lockset}\n".encode()
    contents[f"{_dist_info()}/METADATA"] = _METADATA.format(name=NAME, version=runtime_version()).encode()
    contents[f"{_dist_info()}/WHEEL"] = _WHEEL.encode()
    contents[f"{_dist_info()}/entry_points.txt"] = _ENTRY_POINTS.encode()
    return dict(sorted(contents.items()))


def _record(contents: Mapping[str, bytes]) -> bytes:
    lines = [f"{name},{record_hash(content)},{len(content)}" for name, content in contents.items()]
    return "\n".join([*lines, f"{_dist_info()}/RECORD,,", ""]).encode()
