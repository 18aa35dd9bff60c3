"""The Python that an environment is made from."""

from __future__ import annotations

import os
import time
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
    broken = ""
    for path in _candidates(version, candidate):
        answer, reason = _asked(path)
        if answer == [version, "cpython"]:
            return path
        broken = broken or (f"{path}: {reason}" if reason else "")
    raise InterpreterMissingError(version, broken)


def _candidates(version: str, candidate: str | None) -> Iterator[str]:
    """As recorded; else what a probe of this host finds: the record may be of another one."""
    if candidate is not None:
        yield candidate
    found = probe_pythons(Roots(), os.environ).pythons
    for interpreter in found or ():
        if interpreter.version.startswith(f"{version}."):
            yield interpreter.path


def _asked(path: str) -> tuple[list[str], str]:
    """What an interpreter says that it is, or why it says nothing.

    Its name tells neither: a version manager's shim fails for what is not selected, a moved one lacks its libpython.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    outcome = run([path, "-I", "-c", _QUESTION], deadline=time.monotonic() + _SECONDS, env=env)
    if not isinstance(outcome, Completed):
        return [], ""
    said = outcome.stderr.decode("utf-8", "replace").strip().splitlines()
    return outcome.stdout.decode("utf-8", "replace").split(), said[-1][:200] if outcome.returncode and said else ""
