"""The checks of a lockset, run by the interpreter of an environment before it is put in force."""

from __future__ import annotations

import json
import math
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.install.check_failure import failure, file_name
from verl_env.installers.isolation import check_environment
from verl_env.machine.child import Children, Completed
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeGuard

    from verl_env.locksets.model import SmokeTest
    from verl_env.machine.process import Outcome

#: Seconds that a check may take: a first import of vLLM from a network file system takes minutes.
SECONDS = 900.0
#: Seconds between two looks at how far checks have come.
_LOOK = 0.2
#: What runs checks in one process; it runs in the environment.
_PROGRAM = Path(__file__).parent / "programs" / "checks_in_one.py"
#: Where device files are.
DEVICES = Path("/dev")
NO_GPU = "it needs a GPU, and this host has none"


def gpu_here() -> bool:
    """Whether this host shows a GPU's device file."""
    return any(re.fullmatch(r"nvidia\d+|kfd", name) for name in _names(DEVICES))


def run_checks(
    checks: Sequence[SmokeTest],
    environment: Path,
    variables: Mapping[str, str],
    places: tuple[Path, Path],
    done: Callable[[str, float], None],
    *,
    running: Callable[[str, float], None] = lambda _, __: None,
    apart: Callable[[str], None] = lambda _: None,
) -> None:
    """Runs checks one after another in one process; each in one of its own where that one does not end well.

    Most of a check's time is imports that another has made already. The one process says that something is wrong; whose
    it is, each alone says: the one that it stopped at first, then all others, in order.

    Args:
        checks: The checks.
        environment: The environment whose interpreter runs them.
        variables: The lockset's run-time variables.
        places: Where the output of a failed check is kept, and where scripts are put; nothing of the current
            directory can be imported.
        done: Called with the id and the seconds of each check that passed.
        running: Called several times a second with what runs, and for how long it does.
        apart: Called with the id of the check that the one process stopped at, before each runs alone.

    Raises:
        CheckFailedError: one failed, or did not end in time.
    """
    logs, stage = places
    place = _Place(environment / "bin" / "python", check_environment(os.environ, variables, environment), stage)
    order = list(checks)
    if len(order) > 1:
        passed = _together(order, place, done, running)
        if passed is None:
            return
        order.insert(0, order.pop(min(passed, len(order) - 1)))
        apart(order[0].id)
    for check in order:
        outcome = _alone(check, place, running)
        if not _well(outcome):
            raise failure(check, outcome, environment, logs)
        done(check.id, outcome.seconds)


@record
class _Place:
    """The interpreter of an environment, the variables of checks, and a directory for scripts."""

    python: Path
    env: Mapping[str, str]
    stage: Path

    def run(self, *arguments: str, look: Callable[[float], bool]) -> Outcome:
        """Runs a script; ``look`` gets the seconds since its start, and says whether it has come further.

        What comes further has all of its time again.
        """
        started = time.monotonic()
        with Children(deadline=math.inf) as children:
            child = children.start([str(self.python), *arguments], env=self.env, deadline=started + SECONDS)
            while (outcome := children.look(child, _LOOK)) is None:
                if look(time.monotonic() - started):
                    child.deadline = time.monotonic() + SECONDS
            return outcome


def _together(
    checks: Sequence[SmokeTest],
    place: _Place,
    done: Callable[[str, float], None],
    running: Callable[[str, float], None],
) -> int | None:
    """Runs checks in one process; None where all went well, else how many had passed before."""
    program, source, answers = (place.stage / f"checks.{kind}" for kind in ("py", "json", "done"))
    program.write_bytes(_PROGRAM.read_bytes())
    answers.unlink(missing_ok=True)
    source.write_text(json.dumps([(check.id, check.code) for check in checks]), encoding="utf-8")
    passed, since = 0, 0.0

    def look(seconds: float) -> bool:
        nonlocal passed, since
        lines = _lines(answers)[passed:]
        for line in lines:
            done(checks[passed].id, float(line))
            passed, since = passed + 1, seconds
        name = checks[passed].id if passed < len(checks) else "their end"
        running(f"{name} ({min(passed + 1, len(checks))} of {len(checks)})", seconds - since)
        return bool(lines)

    outcome = place.run(str(program), str(source), str(answers), look=look)
    look(since)
    return None if _well(outcome) and passed == len(checks) else passed


def _alone(check: SmokeTest, place: _Place, running: Callable[[str, float], None]) -> Outcome:
    script = place.stage / f"check-{file_name(check.id)}.py"
    script.write_text(check.code, encoding="utf-8")

    def look(seconds: float) -> bool:
        running(check.id, seconds)
        return False

    return place.run(str(script), look=look)


def _well(outcome: Outcome) -> TypeGuard[Completed]:
    return isinstance(outcome, Completed) and outcome.returncode == 0


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split("\n")[:-1]
    except OSError:
        return []


def pick_checks(
    checks: tuple[SmokeTest, ...], *, gpu: Callable[[], bool]
) -> tuple[tuple[SmokeTest, ...], dict[str, str]]:
    """The checks that can run on this host, and the reason for each that cannot."""
    has_gpu = any(check.needs == "gpu" for check in checks) and gpu()
    chosen = tuple(check for check in checks if check.needs != "gpu" or has_gpu)
    return chosen, {check.id: NO_GPU for check in checks if check not in chosen}


def _names(directory: Path) -> list[str]:
    try:
        return [path.name for path in directory.iterdir()]
    except OSError:
        return []
