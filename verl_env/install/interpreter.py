"""The Python that an environment is made from."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.install.errors import InterpreterMissingError
from verl_env.machine.child import Completed, run
from verl_env.machine.pythons import probe_pythons
from verl_env.machine.roots import Roots

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds that an interpreter has to say its version; the first start from a network file system is slow.
_SECONDS = 30.0
_QUESTION = "import sys, venv; print('%d.%d' % sys.version_info[:2], sys.implementation.name)"


def find_interpreter(version: str, candidate: str | None) -> str:
    """The full path of a CPython of a minor release that can make environments.

    Args:
        version: The release, ``"3.10"``.
        candidate: The interpreter that the machine's record names; it may be one of another host.

    Raises:
        InterpreterMissingError: there is none.
    """
    for path in _candidates(version, candidate):
        if _is_named(path, version) or _is(path, version):
            return path
    raise InterpreterMissingError(version)


def _candidates(version: str, candidate: str | None) -> Iterator[str]:
    """As recorded; else what a probe of this host finds: the record may be of another one."""
    if candidate is not None:
        yield candidate
    found = probe_pythons(Roots(), os.environ).pythons
    for interpreter in found or ():
        if interpreter.version.startswith(f"{version}."):
            yield interpreter.path


def _is_named(path: str, version: str) -> bool:
    """Whether a path ends, links followed, at a program that is named for the release, as installations name it.

    A version manager's shims have such names too, but they are scripts.
    """
    real = Path(path).resolve()
    if real.name != f"python{version}" or not os.access(real, os.X_OK):
        return False
    try:
        with real.open("rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


def _is(path: str, version: str) -> bool:
    """Asked, not guessed from the name: a version manager's shim fails for what is not selected."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    outcome = run([path, "-I", "-c", _QUESTION], deadline=time.monotonic() + _SECONDS, env=env)
    if not isinstance(outcome, Completed) or outcome.returncode != 0:
        return False
    return outcome.stdout.decode("utf-8", "replace").split() == [version, "cpython"]
