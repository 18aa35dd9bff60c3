"""What a running installation tells; the command line shows it, tests record it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from verl_env.plans.model import Step


class Reporter(Protocol):
    """Gets events in the order they happen; must not raise."""

    @property
    def terminal(self) -> Callable[[bytes], None] | None:
        """Takes an installer's own output, with terminal control; None where there is no terminal."""

    def begin(self, step: Step) -> None:
        """A step begins."""

    def end(self, step: Step, seconds: float, detail: str) -> None:
        """A step ended well; ``detail`` says what it came to, and may be empty."""

    def progress(self, name: str, done: int, total: int | None) -> None:
        """Bytes of a download that verl-env makes itself."""

    def building(self, name: str, done: int | None, total: int | None, seconds: float) -> None:
        """A build goes on: its steps where it counts them, and the seconds since it began. Called often."""

    def note(self, message: str) -> None:
        """Something worth a line."""

    def warn(self, message: str) -> None:
        """Something the user should know when all is done."""
