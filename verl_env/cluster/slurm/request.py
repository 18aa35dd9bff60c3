"""A request for nodes: salloc, the queue that it may stand in, and why it stands there."""

from __future__ import annotations

import contextlib
import os
import re
import time
from typing import TYPE_CHECKING

from verl_env.cluster.errors import AllocationRefusedError, ProgramMissingError
from verl_env.cluster.slurm.ask import ask, pending_reason
from verl_env.cluster.stream import stream
from verl_env.errors import VerlEnvError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_JOB = re.compile(r"\b(Granted|Pending) job allocation (\d+)")
#: Minutes after which Slurm itself ends an allocation that nobody gave back, as after a kill of this process.
_MINUTES = 60
#: Seconds beyond the wait for salloc to say anything at all: a controller under load.
_SLACK = 20.0
#: Reasons that no waiting mends: the request, or the partition as it stands, forbids it
#: (https://slurm.schedmd.com/job_reason_codes.html).
_HOPELESS = re.compile(
    r"Partition(NodeLimit|TimeLimit|Down|Inactive)|BadConstraints|Invalid(Account|QOS)|(Account|QOS)NotAllowed|JobHeld"
    r"|MaxMemPerLimit|QOSMin|(Assoc|QOS)Max\w+Per(Job|Node)"
)


def request(options: Sequence[str], asked: str, *, wait: float, waiting: Callable[[str], None]) -> str:
    """The id of a new allocation.

    ``--immediate`` would tell that there is none now, not why. So the job stands in the queue for a moment, and Slurm
    is asked for the reason: where no waiting mends it, the job is taken back at once, else when its time is over.

    Args:
        options: Those of salloc.
        asked: The nodes, for a reader.
        wait: How long it may stand there, in seconds.
        waiting: Is told why it stands there, at first and whenever that changes.

    Raises:
        AllocationRefusedError: Slurm gives none, or not in time.
        ProgramMissingError: there is no salloc.
    """
    queue = _Queue(wait, waiting)
    argv = ["salloc", "--no-shell", "--job-name=verl-env", f"--time={_MINUTES}", *options]
    env = {**os.environ, "LC_ALL": "C"}
    try:
        stream(
            argv, seconds=wait + _SLACK, on_line=queue.take, on_error=queue.take, done=queue.over, env=env, patience=1.0
        )
    except OSError as error:
        raise ProgramMissingError("salloc") from error
    except BaseException:
        queue.cancel()
        raise
    if queue.granted:
        return queue.granted
    queue.cancel()
    raise AllocationRefusedError(asked, queue.why, waited=queue.waited)


class _Queue:
    """What salloc says of a job, and Slurm of its place in the queue.

    ``left`` says that it is not waited for any longer, ``waited`` the seconds that it stood there where more of them
    might have helped.
    """

    def __init__(self, wait: float, waiting: Callable[[str], None]) -> None:
        self.granted = self.said = self.reason = self._pending = ""
        self.left, self.waited = False, 0.0
        self._wait, self._waiting = wait, waiting
        self._since, self._look_at = 0.0, 1.0

    @property
    def why(self) -> str:
        """Why there is no allocation: the queue's reason where the job still stands there, else salloc's last words."""
        return (self.reason if self.left else self.said) or "salloc said nothing"

    def take(self, line: bytes) -> None:
        """Takes a line of salloc."""
        text = line.decode("utf-8", "replace").strip()
        if found := _JOB.search(text):
            self.granted, self._pending = (found[2], "") if found[1] == "Granted" else ("", found[2])
            self._since = time.monotonic()
        elif text:
            self.said = text

    def over(self) -> bool:
        """Whether nothing more is to be waited for; a busy controller is asked ever more rarely."""
        if self.granted or not self._pending:
            return bool(self.granted)
        seconds = time.monotonic() - self._since
        if seconds >= min(self._look_at, self._wait):
            self._look_at = 2 * seconds
            before, self.reason = self.reason, pending_reason(self._pending)
            if self.reason != before and not _HOPELESS.search(self.reason) and seconds < self._wait:
                self._waiting(f"Slurm gives no nodes yet: {self.reason}; waiting up to {self._wait:.0f} s")
        hopeless = _HOPELESS.search(self.reason) is not None
        self.left = hopeless or seconds >= self._wait
        self.waited = seconds if self.left and not hopeless else 0.0
        return self.left

    def cancel(self) -> None:
        """Takes the job back."""
        for job in filter(None, (self.granted, self._pending)):
            with contextlib.suppress(VerlEnvError):
                ask(["scancel", job])
