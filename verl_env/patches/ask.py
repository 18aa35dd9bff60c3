"""Asks the interpreter of an environment about the patches; the tool itself imports nothing of them."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from verl_env.installers.isolation import check_environment
from verl_env.machine.child import Completed, run
from verl_env.patches.errors import InterpreterFailedError, NoInterpreterError, RuntimeMissingError
from verl_env.patches.model import Report, parse_report
from verl_env.reading import json_of, what_is
from verl_env.wheels.runtime import SOURCE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: Where the probes run: the process itself, one that multiprocessing spawned, a Ray worker.
PROCESSES = ("main", "spawn", "ray")
#: The name of the runtime's entry point in the group ``vllm.general_plugins``.
PLUGIN = "verl_env"

#: Seconds: reading source takes one; importing vLLM and torch from a network file system takes minutes.
_READ_SECONDS = 60.0
VERIFY_SECONDS = 600.0
_BORROWED = (
    "import sys; sys.path.insert(0, {source!r}); import runpy; runpy.run_module('verl_env_runtime', None, '__main__')"
)


def interpreter(environment: Path) -> Path:
    """The Python of an environment.

    Raises:
        NoEnvironmentError: there is none.
    """
    python = environment / "bin" / "python"
    if not python.exists():
        lacking = "it has no bin/python" if environment.is_dir() else f"it is {what_is(environment)}"
        raise NoInterpreterError(environment, lacking)
    return python


def site_packages(environment: Path) -> Path | None:
    """The directory of an environment that holds its packages; None where it has none yet."""
    return next(iter(sorted(environment.glob("lib/python3*/site-packages"))), None)


def is_installed(environment: Path) -> bool:
    """Whether the runtime is in the environment."""
    site = site_packages(environment)
    return site is not None and (site / "verl_env_runtime" / "__init__.py").is_file()


def read_states(environment: Path) -> Report:
    """What the patches will do in an environment, from the source of its vLLM; nothing of vLLM is imported.

    Where the runtime is not installed, that is what it would do if it were.

    Raises:
        NoEnvironmentError: there is no environment.
        InterpreterFailedError: its Python gives no answer.
    """
    installed = is_installed(environment)
    module = ["-m", "verl_env_runtime"] if installed else ["-c", _BORROWED.format(source=str(SOURCE))]
    data = _ask(environment, ["-I", *module], _READ_SECONDS)
    return parse_report(data, installed=installed, hidden=_hidden())


def verify(environment: Path, process: str) -> Report:
    """Imports what the patches mend and proves each one, in one of ``PROCESSES``.

    Raises:
        NoEnvironmentError: there is no environment.
        RuntimeMissingError: the runtime is not in it.
        InterpreterFailedError: its Python gives no answer.
    """
    interpreter(environment)
    if not is_installed(environment):
        raise RuntimeMissingError(environment)
    data = _ask(environment, ["-I", "-m", "verl_env_runtime", "--verify", process], VERIFY_SECONDS)
    return parse_report(data, installed=True, hidden=_hidden())


def _ask(environment: Path, arguments: Sequence[str], seconds: float) -> dict[str, object]:
    argv = [str(interpreter(environment)), *arguments]
    # Isolated itself (-I), it starts others that are not: a Ray worker would take PYTHONPATH and the user's site.
    outcome = run(argv, deadline=time.monotonic() + seconds, env=check_environment(os.environ, {}, environment))
    if not isinstance(outcome, Completed):
        raise InterpreterFailedError(environment, f"did not answer within {seconds:.0f} s", "")
    try:
        answer: dict[str, object] = json_of(outcome.stdout)
    except ValueError:
        tail = outcome.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise InterpreterFailedError(environment, f"ended with code {outcome.returncode}", "".join(tail)) from None
    return answer


def _hidden() -> str | None:
    """``VLLM_PLUGINS`` where it is a list without the runtime's plugin."""
    value = os.environ.get("VLLM_PLUGINS")
    return None if value is None or PLUGIN in value.split(",") else value
