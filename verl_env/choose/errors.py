"""What can be wrong with a request, and the answer that nothing fits, as errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.choose.words import listed
from verl_env.errors import EXIT_MISUSE, VerlEnvError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.choose.model import Refusal, Request


class StackUnknownError(VerlEnvError):
    """A stack of which a component is one that no lockset knows."""

    id = "stack-unknown"
    exit_code = EXIT_MISUSE

    def __init__(self, component: str, known: Sequence[str]) -> None:
        super().__init__(component, known)
        self.component = component
        self.known = tuple(known)

    @property
    def message(self) -> str:
        """The component, and every one that is known."""
        return f"no lockset knows the component {self.component!r}; known are {listed(self.known) or 'none'}"

    @property
    def hint(self) -> str:
        """The component that was probably meant."""
        near = nearest(self.component, self.known, count=1)
        return f"did you mean: --stack {near[0]}" if near else "see what there is: verl-env stacks"


class StackUnavailableError(VerlEnvError):
    """Components that are known, but that no lockset provides together."""

    id = "stack-unavailable"

    def __init__(self, stack: Sequence[str], nearest: Sequence[tuple[str, ...]]) -> None:
        super().__init__(stack, nearest)
        self.stack = tuple(stack)
        self.nearest = tuple(nearest)

    @property
    def message(self) -> str:
        """The stack, and the largest parts of it that there are."""
        near = listed(("+".join(combination) for combination in self.nearest), "or")
        return f"no lockset provides {'+'.join(self.stack)} together; the nearest are {near}"

    @property
    def hint(self) -> str:
        """The first of the nearest."""
        return f"ask for less: --stack {'+'.join(self.nearest[0])}; see what there is: verl-env stacks"


class LocksetUnknownError(VerlEnvError):
    """A lockset id, or the end of one, that no lockset has."""

    id = "lockset-not-found"
    exit_code = EXIT_MISUSE

    def __init__(self, asked: str, known: Sequence[str]) -> None:
        super().__init__(asked, known)
        self.asked = asked
        self.known = tuple(known)

    @property
    def message(self) -> str:
        """The id as it was given."""
        return f"there is no lockset {self.asked!r}"

    @property
    def hint(self) -> str:
        """The nearest ids."""
        short = {id_.rpartition("/")[2]: id_ for id_ in reversed(self.known)}
        near = nearest(self.asked, self.known, count=3) or [short[name] for name in nearest(self.asked, short, count=3)]
        return f"the nearest are: {', '.join(near)}" if near else "see what there is: verl-env stacks"


class LocksetAmbiguousError(VerlEnvError):
    """The end of more than one lockset id."""

    id = "lockset-ambiguous"
    exit_code = EXIT_MISUSE

    def __init__(self, asked: str, matches: Sequence[str]) -> None:
        super().__init__(asked, matches)
        self.asked = asked
        self.matches = tuple(matches)

    @property
    def message(self) -> str:
        """Every lockset that it may mean."""
        return f"{self.asked!r} may be {listed(self.matches, 'or')}"

    @property
    def hint(self) -> str:
        """The full id of the first."""
        return f"give the full id, such as --lockset {self.matches[0]}"


class VerlUnavailableError(VerlEnvError):
    """A release of verl that no lockset is for."""

    id = "verl-unavailable"

    def __init__(self, asked: str, known: Sequence[str]) -> None:
        super().__init__(asked, known)
        self.asked = asked
        self.known = tuple(known)

    @property
    def message(self) -> str:
        """The release, and those that there are."""
        return f"no lockset is for verl {self.asked}; there are {listed(self.known)}"

    @property
    def hint(self) -> str:
        """The newest that there is."""
        return f"leave out --verl for the newest that fits, or give --verl {self.known[0]}"


class NothingFitsError(VerlEnvError):
    """A refusal as an error, for commands that need a lockset."""

    id = "nothing-fits"

    def __init__(self, refusal: Refusal, request: Request, summary: str) -> None:
        super().__init__(refusal, request, summary)
        self.refusal = refusal
        self.request = request
        self.summary = summary

    @property
    def message(self) -> str:
        """How many were refused, and by what."""
        return f"no lockset for {self.request.name or 'any stack'} fits: {self.summary}"

    @property
    def hint(self) -> str:
        """The first way on, else the command that explains."""
        explain = f"see why: verl-env plan --stack {self.request.name} --explain"
        return self.refusal.hints[0] if self.refusal.hints else explain


def nearest(text: str, known: Sequence[str] | dict[str, str], *, count: int) -> list[str]:
    """The known words that resemble a text most, best first."""
    from difflib import get_close_matches  # noqa: PLC0415  2 ms, and only where something is wrong

    return get_close_matches(text, list(known), n=count, cutoff=0.5)
