"""Runs the parts of a proof, one after another, in a directory of their own."""

from __future__ import annotations

import time
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verl_env.machine.process import Abandoned, Completed, NotFound, NotStarted, TimedOut
from verl_env.reading import json_of
from verl_env.records import record, replace
from verl_env.verify.judge import complaints
from verl_env.verify.model import Result, Verification
from verl_env.verify.possible import obstacle
from verl_env.verify.process import run_marked
from verl_env.verify.training import bounds_for, command, figures_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from verl_env.machine.process import Outcome
    from verl_env.verify.model import Part, Subject

PROGRAMS = Path(__file__).parent / "programs"
#: Seconds to make the models and the data.
MODELS_DEADLINE = 300.0
#: Lines of a log that a failed part shows.
_TAIL = 40
#: Steps that a training run has.
_STEPS = 2
_ANSWER = "VERL_ENV_VERIFY_ANSWER"


@record
class Room:
    """Where a proof works: its directory, the environment's interpreter, and the variables of its processes."""

    directory: Path
    python: Path
    env: Mapping[str, str]

    @property
    def models(self) -> Path:
        """The directory with the models and the data."""
        return self.directory / "models"

    def filled(self, words: Sequence[str]) -> list[str]:
        """Arguments with their placeholders replaced."""
        places = {"{models}": self.models, "{programs}": PROGRAMS, "{work}": self.directory}
        return [_filled(word, places) for word in words]


def variables(base: Mapping[str, str], directory: Path) -> dict[str, str]:
    """The variables of a proof's processes: nothing is fetched or reported, and Ray starts a cluster of its own."""
    env = {name: value for name, value in base.items() if not name.startswith(("RAY_", "WANDB_", "PYTHONPATH"))}
    return env | {
        "HF_HUB_OFFLINE": "1",
        "HYDRA_FULL_ERROR": "1",
        "PYTHONUNBUFFERED": "1",
        "RAY_ADDRESS": "local",
        "RAY_DEDUP_LOGS": "0",
        "RAY_TMPDIR": str(directory / "ray"),
        "RAY_USAGE_STATS_ENABLED": "0",
        "TOKENIZERS_PARALLELISM": "true",
        "WANDB_MODE": "disabled",
    }


def verify(
    subject: Subject,
    parts: Sequence[Part],
    room: Room,
    *,
    started: Callable[[Part], None],
    ended: Callable[[Verification], None],
    findings: Callable[[str], tuple[str, ...]],
) -> Verification:
    """Tries every part that can be tried.

    Args:
        subject: The environment and its machine.
        parts: What to try, in order.
        room: Where.
        started: Told of each part that begins.
        ended: Given all that is known after each part, which a run that is killed later has shown by then.
        findings: The ids of what a log shows.
    """
    date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    found = Verification(subject, date, ())
    for part in parts:
        reason = obstacle(part, subject)
        if reason is not None:
            result = Result(part.id, "impossible", reason)
        else:
            started(part)
            result = _try(part, subject, room)
            result = replace(result, findings=findings(result.log)) if result.state == "failed" else result
        found = replace(found, results=(*found.results, result))
        ended(found)
    return found


def _needs_models(part: Part) -> bool:
    return part.train is not None or any("{models}" in word for word in part.arguments)


def _make_models(part: Part, room: Room) -> Result | None:
    """Makes the models; a failed result where that fails."""
    partial = room.models.with_suffix(".part")
    partial.mkdir(parents=True, exist_ok=True)
    argv = [str(room.python), str(PROGRAMS / "make_models.py"), str(partial)]
    begun = time.monotonic()
    outcome = run_marked(argv, room.env, seconds=MODELS_DEADLINE, mark=uuid.uuid4().hex)
    if isinstance(outcome, Completed) and outcome.returncode == 0:
        partial.rename(room.models)
        return None
    log = _output(outcome)
    return Result(part.id, "failed", f"its models: {_ending(outcome)}", time.monotonic() - begun, log=_tail(log))


def _try(part: Part, subject: Subject, room: Room) -> Result:
    failure = _make_models(part, room) if _needs_models(part) and not room.models.exists() else None
    if failure is not None:
        return failure
    answer = room.directory / f"{part.id}.json"
    words = (
        command(part.train, subject.packages) if part.train else [str(PROGRAMS / str(part.program)), *part.arguments]
    )
    env = {**room.env, _ANSWER: str(answer)}
    begun = time.monotonic()
    outcome = run_marked([str(room.python), *room.filled(words)], env, seconds=part.deadline, mark=uuid.uuid4().hex)
    seconds, log = time.monotonic() - begun, _output(outcome)
    (room.directory / f"{part.id}.log").write_text(log, encoding="utf-8", errors="replace")
    figures = figures_of(log) if part.train else _answer(answer)
    wrong = _wrong(part, subject, outcome, figures)
    if wrong:
        return Result(part.id, "failed", "; ".join(wrong), seconds, figures, log=_tail(log))
    return Result(part.id, "passed", "", seconds, figures)


def _wrong(part: Part, subject: Subject, outcome: Outcome, figures: Mapping[str, Any]) -> list[str]:
    """What speaks against a part."""
    if not (isinstance(outcome, Completed) and outcome.returncode == 0):
        return [_ending(outcome)]
    if part.train is None:
        if not figures:
            return ["it gave no answer"]
        optional = "fp8_error" not in figures
        at_most = {name: bound for name, bound in part.at_most.items() if not (optional and name == "fp8_error")}
        return complaints(figures, at_most, part.at_least)
    if figures["steps"] < _STEPS:
        return [f"it made {figures['steps']:.0f} of {_STEPS} steps"]
    return complaints(figures, *bounds_for(subject.packages["verl"]))


def _answer(path: Path) -> dict[str, Any]:
    try:
        figures: dict[str, Any] = json_of(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return figures


def _ending(outcome: Outcome) -> str:
    if isinstance(outcome, Completed):
        return f"it ended with code {outcome.returncode}"
    if isinstance(outcome, TimedOut):
        return f"it was killed at its deadline, after {outcome.seconds:.0f} s"
    if isinstance(outcome, Abandoned):
        return f"it hangs in the kernel and was left after {outcome.seconds:.0f} s"
    return "the interpreter of the environment does not start"


def _output(outcome: Outcome) -> str:
    if isinstance(outcome, (NotFound, NotStarted)):
        return ""
    return "\n".join(part.decode("utf-8", "replace") for part in (outcome.stdout, outcome.stderr) if part)


def _tail(log: str) -> str:
    return "\n".join(log.rstrip().splitlines()[-_TAIL:])


def _filled(word: str, places: Mapping[str, Path]) -> str:
    for name, place in places.items():
        word = word.replace(name, str(place))
    return word
