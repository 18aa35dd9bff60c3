"""A failed check in words: the likely cause, and its log."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.command_line import visible
from verl_env.credentials import hide_secrets
from verl_env.installers.classify import tail
from verl_env.installers.failures import CheckFailedError
from verl_env.machine.child import Abandoned, Completed, TimedOut

if TYPE_CHECKING:
    from pathlib import Path

    from verl_env.locksets.model import SmokeTest
    from verl_env.machine.process import Outcome

_MISSING_LIBRARY = re.compile(r"(?<![\w.+-])(lib[\w.+-]+\.so[.\d]*): cannot open shared object file")
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


def failure(check: SmokeTest, outcome: Outcome, environment: Path, logs: Path) -> CheckFailedError:
    """The error of a check that did not pass, whose output is kept in a file of ``logs``."""
    output = _output(outcome)
    logs.mkdir(exist_ok=True)
    log = logs / f"{environment.name}-{file_name(check.id)}.log"
    log.write_text(visible(hide_secrets(f"{check.code}\n\n{output}")), encoding="utf-8")
    return CheckFailedError(check.id, _reason(outcome, output), log, tail(output))


def file_name(check: str) -> str:
    """The name of a check as part of a file name."""
    return re.sub(r"[^\w.-]+", "-", check)


def _output(outcome: Outcome) -> str:
    if isinstance(outcome, Completed | TimedOut):
        return (outcome.stdout + outcome.stderr).decode("utf-8", "replace")
    return ""


def _reason(outcome: Outcome, output: str) -> str:
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
