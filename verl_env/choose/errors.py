"""What can be wrong with a request, and the answer that nothing fits, as errors."""

from __future__ import annotations

from verl_env.choose.command import plan_command
from verl_env.choose.words import missing_named
from verl_env.command_line import command
from verl_env.errors import EXIT_MISUSE, VerlEnvError
from verl_env.records import replace
from verl_env.texts import counted, listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, TypeAlias

    from verl_env.choose.model import Evaluation, PassedOver, Refusal, Request

    #: A way on in words, and the request that it is.
    Option: TypeAlias = tuple[str, Request]

#: The component without which a part of a stack is not there at all; what else it needs may be left out. An engine is
#: one where no index has it (vLLM for ROCm).
#: Megatron-Core has layers of its own beside those of TransformerEngine (``get_gpt_layer_local_spec``) and falls back
#: to torch without apex.
STANDS_FOR = {"deepep": "deep-ep", "megatron": "megatron-core", "vllm": "vllm", "sglang": "sglang"}


class _Tried:
    """What an error learns after it was raised, so that these are no values that it is made with."""

    request: Request | None = None
    ways: tuple[Option, ...] = ()
    #: The way on where ``plan`` has none, as it looks at another machine than the one that was meant.
    way: str | None = None


class ChoiceError(_Tried, VerlEnvError):
    """A request that cannot be answered; its hints are commands for requests that can, tried where that is possible."""

    #: How many options are named where none of them fits either.
    untried = 1

    def options(self, request: Request) -> Iterator[Option]:
        """Other requests that may be meant, or that ask for less; the best first."""
        del request
        return iter(())

    def take_ways(self, request: Request, fits: Callable[[Request], bool]) -> None:
        """Keeps the options of which something fits; the first where that is so of none, as it mends this error."""
        every = tuple(self.options(request))
        self.request = request
        self.ways = tuple(each for each in every if fits(each[1])) or every[: self.untried]

    @property
    def hint(self) -> str | None:
        """A line for each way on, with the command that takes it."""
        if self.way is not None:
            return self.way
        lines = [f"{words}: {plan_command(request)}" for words, request in self.ways]
        return "\n  or ".join((*lines, *self.more())) or None

    def more(self) -> Iterator[str]:
        """What the hint says last."""
        if not self.ways:
            yield f"see what there is: {command('stacks')}"


class StackUnknownError(ChoiceError):
    """A stack of which a component is one that no lockset knows."""

    id = "stack-unknown"
    exit_code = EXIT_MISUSE
    component: str
    known: Sequence[str]

    @property
    def message(self) -> str:
        """The component, and every one that is known."""
        return f"no lockset knows the component {self.component!r}; known are {listed(self.known) or 'none'}"

    def options(self, request: Request) -> Iterator[Option]:
        """The component that was probably meant, in its place."""
        for near in nearest(self.component, self.known, count=1):
            stack = tuple(dict.fromkeys(near if part == self.component else part for part in request.stack))
            yield "did you mean", replace(request, stack=stack)


class StackUnavailableError(ChoiceError):
    """Components that are known, but that no lockset provides together."""

    id = "stack-unavailable"
    stack: Sequence[str]
    nearest: Sequence[tuple[str, ...]]

    @property
    def message(self) -> str:
        """The stack, and the largest parts of it that there are."""
        near = listed(("+".join(combination) for combination in self.nearest), "or")
        return f"no lockset provides {'+'.join(self.stack)} together; the nearest are {near}"

    def options(self, request: Request) -> Iterator[Option]:
        """The largest parts of the stack that there are."""
        for stack in self.nearest:
            yield "ask for less", replace(request, stack=stack)


class LocksetUnknownError(ChoiceError):
    """A lockset id, or the end of one, that no lockset has."""

    id = "lockset-not-found"
    exit_code = EXIT_MISUSE
    asked: str
    known: Sequence[str]
    says = "there is no lockset {asked!r}"

    def options(self, request: Request) -> Iterator[Option]:
        """The nearest ids."""
        for id_ in self._near():
            yield "did you mean", replace(request, lockset=id_)

    def more(self) -> Iterator[str]:
        """The nearest ids, where no command is known to put them into."""
        if self.request is None and self._near():
            yield f"the nearest are: {', '.join(self._near())}"
        elif not self.ways:
            yield from super().more()

    def _near(self) -> list[str]:
        short = {id_.rpartition("/")[2]: id_ for id_ in reversed(self.known)}
        near = nearest(self.asked, self.known, count=3)
        return near or [short[name] for name in nearest(self.asked, short, count=3)]


class LocksetAmbiguousError(ChoiceError):
    """The end of more than one lockset id."""

    id = "lockset-ambiguous"
    exit_code = EXIT_MISUSE
    asked: str
    matches: Sequence[str]
    says = "{asked!r} may be {matches:or}"

    def options(self, request: Request) -> Iterator[Option]:
        """The full ids."""
        for id_ in self.matches:
            yield "give the full id", replace(request, lockset=id_)

    def more(self) -> Iterator[str]:
        """The first, where no command is known to put it into."""
        if not self.ways:
            yield f"give the full id, such as {self.matches[0]}"


class VerlUnavailableError(ChoiceError):
    """A release of verl that no lockset is for."""

    id = "verl-unavailable"
    asked: str
    known: Sequence[str]
    says = "no lockset is for verl {asked}; there are {known:and}"

    def options(self, request: Request) -> Iterator[Option]:
        """Whatever release fits; else the newest that there is."""
        yield "the newest that fits", replace(request, verl=None)
        for release in self.known:
            yield f"verl {release}", replace(request, verl=release)

    def take_ways(self, request: Request, fits: Callable[[Request], bool]) -> None:
        """Two of the ways say enough."""
        super().take_ways(request, fits)
        self.ways = self.ways[:2]


class NothingFitsError(VerlEnvError):
    """A refusal as an error, for commands that need a lockset."""

    id = "nothing-fits"
    refusal: Refusal
    request: Request
    summary: str
    says = "no lockset for {request.name:-any stack} fits: {summary}"

    @property
    def hint(self) -> str:
        """The first way on, else the command that explains."""
        if self.refusal.hints:
            return self.refusal.hints[0]
        if self.refusal.command is not None:
            return f"{nearest_words(self.refusal)}: {self.refusal.command}"
        return f"see why: {plan_command(self.request, '--explain')}"

    def document(self) -> dict[str, Any]:
        """The document of ``plan`` where nothing fits: every refusal, grouped too, and the nearest."""
        from verl_env.choose.to_json import refusal_json  # noqa: PLC0415  it imports the models of locksets

        return {**super().document(), **refusal_json(self.refusal, self.request)}


class WishInvalidError(ChoiceError):
    """``--with`` names no requirement that pip could read, or one that nothing can meet as it is written.

    The hint is the wish in another form, where that is known.
    """

    id = "with-invalid"
    exit_code = EXIT_MISUSE
    text: str
    reason: str
    instead: tuple[str, str] | None = None
    flags: tuple[str, ...] = ()
    says = "--with {text!r} {reason}"

    def options(self, request: Request) -> Iterator[Option]:
        """The wish in another form."""
        if self.instead is not None:
            words, wish = self.instead
            wishes = tuple(wish if each == self.text else each for each in request.wishes)
            yield words, replace(request, wishes=wishes)

    @property
    def hint(self) -> str:
        """The way on, else what a requirement looks like."""
        if self.flags and self.instead is not None:
            stack = ("--stack", self.request.name, *self.request.described) if self.request else ()
            return f"{self.instead[0]}: {command('install', *stack, '--with', self.instead[1], *self.flags)}"
        return (
            super().hint or ""
            if self.ways
            else "write it as pip reads it: --with flash-attn, --with 'deepspeed>=0.16', --with 'name @ https://...'"
        )


class NativeMissingError(ChoiceError):
    """A native component that must be there cannot be had.

    No published wheel fits and no build can be made, in any lockset that fits and on any of its Pythons, while
    ``--native prebuilt`` or ``--native build`` rules out the other way, or ``--with`` or a part of ``--stack`` asks for
    the component; or a wheel or source that was decided on cannot be fetched.
    """

    id = "native-unavailable"


class NativeUnavailableError(NativeMissingError):
    """No way to get a native component fits, in every lockset that fits and on each of its Pythons."""

    passed: Sequence[PassedOver]
    asked: Request
    evaluations: Sequence[Evaluation] = ()
    #: What does not help is not named: every way is shown by ``--explain``.
    untried = 0

    @property
    def message(self) -> str:
        """What is missing from the lockset that comes first, every way to get it and why not, and how many others."""
        first = self.passed[0]
        others = len({each.lockset.id for each in self.passed}) - 1
        more = [f"nor can {counted(others, 'other lockset')} that fit be completed"] if others else []
        head = f"{first.lockset.id} on Python {first.python} cannot be completed:"
        return "\n  ".join([head, *map(missing_named, first.missing), *more])

    def more(self) -> Iterator[str]:
        """The command that shows every way."""
        yield f"see every way: {plan_command(self.asked, '--explain')}"

    def options(self, request: Request) -> Iterator[Option]:
        """What to ask less for, as far as it was asked for."""
        free = replace(request, native=None)
        if request.native is not None:
            allow = {"prebuilt": "allow builds", "build": "allow wheels", "skip": "allow components"}
            yield allow[request.native], free
        parts = tuple(part for part in request.stack if part in self._stood_for())
        rest = tuple(part for part in request.stack if part not in parts)
        if parts and rest:
            yield f"leave {listed(parts)} out", replace(request, stack=rest)
        missing = {each.name for passed in self.passed for each in passed.missing}
        kept = tuple(wish for wish in request.wishes if _name(wish) not in missing)
        if kept != request.wishes:
            yield (
                f"leave {listed(wish for wish in request.wishes if wish not in kept)} out",
                replace(request, wishes=kept),
            )
        for name in ("lockset", "verl", "python"):
            if getattr(request, name) is not None:
                yield f"with any {name}", replace(request, **{name: None})
        yield "leave components out", replace(request, native="skip", wishes=kept)

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

        return {**super().document(), **incomplete_json(self.passed, self.evaluations, self.asked)}


def nearest_words(refusal: Refusal) -> str:
    """What the command of the nearest is."""
    return "as it would be then" if refusal.elsewhere else "so it fits"


def _name(wish: str) -> str:
    """The normalized name of a wish."""
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415  only wishes need it
    from packaging.utils import canonicalize_name  # noqa: PLC0415

    try:
        return str(canonicalize_name(Requirement(wish).name))
    except InvalidRequirement:
        return wish


def nearest(text: str, known: Sequence[str] | dict[str, str], *, count: int) -> list[str]:
    """The known words that resemble a text most, best first."""
    from difflib import get_close_matches  # noqa: PLC0415  2 ms, and only where something is wrong

    return get_close_matches(text, list(known), n=count, cutoff=0.5)
