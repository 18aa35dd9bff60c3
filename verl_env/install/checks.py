"""The checks of a lockset, run by the interpreter of an environment before it is put in force."""

from __future__ import annotations

import os
import re
import time
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

from verl_env.command_line import visible
from verl_env.installers.classify import tail
from verl_env.installers.failures import CheckFailed
from verl_env.installers.isolation import check_environment
from verl_env.machine.child import Abandoned, Completed, TimedOut, run_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from verl_env.locksets.model import Check
    from verl_env.machine.process import Outcome

#: Seconds that a check may take: a first import of vLLM from a network file system takes minutes.
SECONDS = 900.0
#: Checks that run at the same time at most: each may import gigabytes.
_SIDE_BY_SIDE = 4
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


def run_checks(
    checks: Sequence[Check],
    environment: Path,
    variables: Mapping[str, str],
    places: tuple[Path, Path],
    done: Callable[[str, float], None],
    running: Callable[[str, float], None] = lambda _, __: None,
) -> None:
    """Runs checks, each in a process of its own, several side by side where there are processors for them.

    Args:
        checks: The checks.
        environment: The environment whose interpreter runs them.
        variables: The lockset's run-time variables.
        places: Where the output of a failed check is kept, and where scripts are put; nothing of the current
            directory can be imported.
        done: Called with the id and the seconds of each check that passed.
        running: Called each second with the ids of those that run, and for how long they do.

    Raises:
        CheckFailed: one failed, or did not end in time; the first in order.
    """
    logs, stage = places
    width = max(1, min(_SIDE_BY_SIDE, len(os.sched_getaffinity(0)) // 2))
    for start in range(0, len(checks), width):
        batch = checks[start : start + width]
        with _told(", ".join(check.id for check in batch), running):
            outcomes = run_all(
                [[str(environment / "bin" / "python"), _script(check, stage)] for check in batch],
                deadline=time.monotonic() + SECONDS,
                env=check_environment(os.environ, variables, environment),
            )
        for check, outcome in zip(batch, outcomes, strict=True):
            if not isinstance(outcome, Completed) or outcome.returncode != 0:
                raise _failure(check, outcome, environment, logs)
            done(check.id, outcome.seconds)


@contextmanager
def _told(ids: str, running: Callable[[str, float], None]) -> Iterator[None]:
    """Tells each second, beside what blocks, that it still runs."""
    over, started = Event(), time.monotonic()

    def tell() -> None:
        while not over.wait(1.0):
            running(ids, time.monotonic() - started)

    thread = Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _script(check: Check, stage: Path) -> str:
    script = stage / f"check-{_file_name(check.id)}.py"
    script.write_text(check.code, encoding="utf-8")
    return str(script)


def _failure(check: Check, outcome: Outcome, environment: Path, logs: Path) -> CheckFailed:
    output = _output(outcome)
    logs.mkdir(exist_ok=True)
    log = logs / f"{environment.name}-{_file_name(check.id)}.log"
    log.write_text(visible(f"{check.code}\n\n{output}"), encoding="utf-8")
    return CheckFailed(check.id, _reason(outcome, output), log, tail(output))


def pick_checks(checks: tuple[Check, ...], *, gpu: Callable[[], bool]) -> tuple[tuple[Check, ...], dict[str, str]]:
    """The checks that can run on this host, and the reason for each that cannot."""
    has_gpu = any(check.needs == "gpu" for check in checks) and gpu()
    chosen = tuple(check for check in checks if check.needs != "gpu" or has_gpu)
    return chosen, {check.id: NO_GPU for check in checks if check not in chosen}


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


def _file_name(check: str) -> str:
    return re.sub(r"[^\w.-]+", "-", check)


def _names(directory: Path) -> list[str]:
    try:
        return [path.name for path in directory.iterdir()]
    except OSError:
        return []
