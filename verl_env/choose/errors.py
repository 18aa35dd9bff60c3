"""What can be wrong with a request, and the answer that nothing fits, as errors."""

from __future__ import annotations

from verl_env.choose.words import counted, listed, missing_named
from verl_env.errors import EXIT_MISUSE, VerlEnvError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from verl_env.choose.model import Evaluation, PassedOver, Refusal, Request

#: The component without which a part of a stack is not there at all; what else it needs may be left out.
#: Megatron-Core has layers of its own beside those of TransformerEngine (``get_gpt_layer_local_spec``) and falls back
#: to torch without apex.
STANDS_FOR = {"deepep": "deep-ep", "megatron": "megatron-core"}


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

    def document(self) -> dict[str, Any]:
        """The document of ``plan`` where nothing fits: every refusal, grouped too, and the nearest."""
        from verl_env.choose.to_json import refusal_json  # noqa: PLC0415  it imports the models of locksets

        return {**super().document(), **refusal_json(self.refusal, self.request)}


class WishInvalidError(VerlEnvError):
    """``--with`` names no requirement that pip could read, or one that nothing can meet as it is written."""

    id = "with-invalid"
    exit_code = EXIT_MISUSE

    def __init__(self, text: str, reason: str, hint: str | None = None) -> None:
        super().__init__(text, reason, hint)
        self.text = text
        self.reason = reason
        self.way = hint

    @property
    def message(self) -> str:
        """The text, and what is wrong with it."""
        return f"--with {self.text!r} {self.reason}"

    @property
    def hint(self) -> str:
        """The way on, else what a requirement looks like."""
        return (
            self.way
            or "write it as pip reads it: --with flash-attn, --with 'deepspeed>=0.16', --with 'name @ https://...'"
        )


class NativeMissingError(VerlEnvError):
    """A native component that must be there cannot be had.

    No published wheel fits and no build can be made, in any lockset that fits and on any of its Pythons, while
    ``--native prebuilt`` or ``--native build`` rules out the other way, or ``--with`` or a part of ``--stack`` asks for
    the component; or a wheel or source that was decided on cannot be fetched.
    """

    id = "native-unavailable"


class NativeUnavailableError(NativeMissingError):
    """No way to get a native component fits, in every lockset that fits and on each of its Pythons."""

    def __init__(self, passed: Sequence[PassedOver], request: Request, evaluations: Sequence[Evaluation] = ()) -> None:
        super().__init__(passed, request, evaluations)
        self.passed = tuple(passed)
        self.request = request
        self.evaluations = tuple(evaluations)

    @property
    def message(self) -> str:
        """What is missing from the lockset that comes first, every way to get it and why not, and how many others."""
        first = self.passed[0]
        others = len({each.lockset.id for each in self.passed}) - 1
        more = [f"nor can {counted(others, 'other lockset')} that fit be completed"] if others else []
        head = f"{first.lockset.id} on Python {first.python} cannot be completed:"
        return "\n  ".join([head, *map(missing_named, first.missing), *more])

    @property
    def hint(self) -> str:
        """The command that shows every way, and the flags that ask for less."""
        return f"{'; or '.join(self._less())}; every way: {_command(self.request)} --explain"

    def _less(self) -> Iterator[str]:
        """What to ask less for, as far as it was asked for."""
        native = self.request.native
        if native is not None:
            allow = {"prebuilt": "allow builds", "build": "allow wheels", "skip": "allow components"}
            yield f"{allow[native]}: leave --native out"
        if self.request.wishes and native in (None, "skip"):
            yield "leave --with out"
        parts = [part for part in self.request.stack if native is None and part in self._stood_for()]
        if parts:
            yield f"leave {listed(parts)} out of --stack"
        if native != "skip" and not self.request.wishes:
            yield "leave components out: --native skip"

    def _stood_for(self) -> set[str]:
        """The parts of the stack of which the component is missing."""
        missing = {each.name for passed in self.passed for each in passed.missing}
        return {part for part, name in STANDS_FOR.items() if name in missing}

    def to_json(self) -> dict[str, Any]:
        """The error with every lockset and Python that was tried, and every way in each."""
        from verl_env.choose.to_json import passed_json  # noqa: PLC0415  it imports the models of locksets

        return {**super().to_json(), "passed": [passed_json(each) for each in self.passed]}

    def document(self) -> dict[str, Any]:
        """The document of ``plan`` where nothing is chosen: every lockset that is refused, and the nearest."""
        from verl_env.choose.to_json import incomplete_json  # noqa: PLC0415  it imports the models of locksets

        return {**super().document(), **incomplete_json(self.passed, self.evaluations, self.request)}


def _command(request: Request) -> str:
    """``verl-env plan`` as it was asked, as far as components go."""
    native = f" --native {request.native}" if request.native else ""
    wishes = "".join(f" --with '{wish}'" for wish in request.wishes)
    return f"verl-env plan --stack {request.name}{native}{wishes}"


def nearest(text: str, known: Sequence[str] | dict[str, str], *, count: int) -> list[str]:
    """The known words that resemble a text most, best first."""
    from difflib import get_close_matches  # noqa: PLC0415  2 ms, and only where something is wrong

    return get_close_matches(text, list(known), n=count, cutoff=0.5)
