"""The checks of a lockset, run by the interpreter of an environment before it is put in force."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.install.backends.isolation import check_environment
from verl_env.install.classify import tail
from verl_env.install.failures import CheckFailed
from verl_env.machine.child import Abandoned, Completed, TimedOut, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from verl_env.locksets.model import Check
    from verl_env.machine.child import NotFound, NotStarted

#: Seconds that a check may take: a first import of vLLM from a network file system takes minutes.
SECONDS = 900.0
#: Where device files are.
DEVICES = Path("/dev")
NO_GPU = "it needs a GPU, and this host has none"

_MISSING_LIBRARY = re.compile(r"(lib\S+\.so[.\d]*): cannot open shared object file")
_REASONS = (
    (r"libcuda\.so\.1: cannot open shared object file", "it needs the NVIDIA driver, and this host has none"),
    (_MISSING_LIBRARY.pattern, "a shared library is not found: {}"),
    (r"version [`'](GLIBC_[\d.]+)' not found", "it needs a newer C library: {}"),
    (r"version [`'](GLIBCXX_[\d.]+|CXXABI_[\d.]+)' not found", "it needs a newer libstdc++: {}"),
    (r"undefined symbol: (\S+)", "a compiled part was built against another version of what it uses: {}"),
    (r"(?:numpy\.dtype size changed|compiled using NumPy 1\.x)", "a compiled part was built against another numpy"),
    (r"No module named '([^']+)'", "a module is missing: {}"),
    (r"No space left on device", "the file system is full"),
)


def gpu_here() -> bool:
    """Whether this host shows a GPU's device file."""
    return any(re.fullmatch(r"nvidia\d+|kfd", name) for name in _names(DEVICES))


def run_check(check: Check, environment: Path, variables: Mapping[str, str], logs: Path, stage: Path) -> None:
    """Runs one check.

    Args:
        check: The check.
        environment: The environment whose interpreter runs it.
        variables: The lockset's run-time variables.
        logs: Where the output of a failed check is kept.
        stage: A directory for its script; nothing of the current directory can be imported.

    Raises:
        CheckFailed: it failed, or did not end in time.
    """
    script = stage / f"check-{_file_name(check.id)}.py"
    script.write_text(check.code, encoding="utf-8")
    outcome = run(
        [str(environment / "bin" / "python"), str(script)],
        deadline=time.monotonic() + SECONDS,
        env=check_environment(os.environ, variables, environment),
    )
    if isinstance(outcome, Completed) and outcome.returncode == 0:
        return
    output = _output(outcome)
    logs.mkdir(exist_ok=True)
    log = logs / f"{environment.name}-{_file_name(check.id)}.log"
    log.write_text(f"{check.code}\n\n{output}", encoding="utf-8")
    raise CheckFailed(check.id, _reason(outcome, output), log, tail(output))


def pick_checks(checks: tuple[Check, ...], *, gpu: Callable[[], bool]) -> tuple[tuple[Check, ...], dict[str, str]]:
    """The checks that can run on this host, and the reason for each that cannot."""
    has_gpu = any(check.needs == "gpu" for check in checks) and gpu()
    chosen = tuple(check for check in checks if check.needs != "gpu" or has_gpu)
    return chosen, {check.id: NO_GPU for check in checks if check not in chosen}


def _output(outcome: Completed | TimedOut | Abandoned | NotFound | NotStarted) -> str:
    if isinstance(outcome, Completed | TimedOut):
        return (outcome.stdout + outcome.stderr).decode("utf-8", "replace")
    return ""


def _reason(outcome: Completed | TimedOut | Abandoned | NotFound | NotStarted, output: str) -> str:
    """The likely cause in words."""
    if isinstance(outcome, TimedOut):
        return f"it did not end within {outcome.seconds:.0f} s"
    if isinstance(outcome, Abandoned):
        return "it hangs in the kernel and cannot be killed: the GPU driver is wedged"
    if not isinstance(outcome, Completed):
        return "the interpreter of the environment does not start"
    for pattern, words in _REASONS:
        match = re.search(pattern, output)
        if match is not None:
            return words.format(*match.groups())
    if outcome.returncode < 0:
        killed = "; the kernel may have run out of memory" if outcome.returncode == -9 else ""  # noqa: PLR2004
        return f"it was ended by signal {-outcome.returncode}{killed}"
    return next(iter(tail(output)[-1:]), f"exit code {outcome.returncode}")


def _file_name(check: str) -> str:
    return re.sub(r"[^\w.-]+", "-", check)


def _names(directory: Path) -> list[str]:
    try:
        return [path.name for path in directory.iterdir()]
    except OSError:
        return []
