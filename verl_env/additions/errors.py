"""Why something cannot be added to an environment, taken out of it, or run in it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.choose.errors import NativeMissingError
from verl_env.errors import EXIT_MISUSE, VerlEnvError
from verl_env.wheels.errors import NativeMismatchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.additions.model import Cause
    from verl_env.choose.model import Refusal
    from verl_env.environment.history import Change
    from verl_env.environment.state import State

#: Pins that a message names; more are counted.
_NAMED = 6
#: What is found at a path with nothing.
NOTHING_THERE = "not there"


def _into(path: Path) -> str:
    """The option that names an environment; nothing for the one that is meant without it."""
    return "" if path == Path.cwd() / ".venv" else f" --into {shlex.quote(str(path))}"


def _plan_command(state: State, wishes: Sequence[str]) -> str:
    """The command that explains what there is of components for the lockset and Python of an environment."""
    words = ["verl-env", "plan", "--stack", state.stack, "--lockset", state.lockset, "--python", state.python]
    return shlex.join([*words, *(word for wish in wishes for word in ("--with", wish)), "--explain"])


class NotMadeHereError(VerlEnvError):
    """``verl-env pip`` and ``verl-env run`` work in environments that verl-env made, and this is none."""

    id = "environment-not-made"
    exit_code = EXIT_MISUSE
    path: Path
    found: str

    @property
    def message(self) -> str:
        if self.found == NOTHING_THERE:
            return f"there is no environment at {self.path}"
        return f"{self.path} is {self.found}, and not an environment that verl-env made"

    @property
    def hint(self) -> str:
        if self.found == NOTHING_THERE:
            return f"make one: verl-env install --stack vllm{_into(self.path)}; or name another: --into DIR"
        beside = shlex.quote(f"{self.path}-verl")
        return f"name one: --into DIR; or make one beside it: verl-env install --stack vllm --into {beside}"


class PipWouldDriftError(VerlEnvError):
    """What should be installed or removed moves a pin of the lockset: torch, an engine, a native component, or another.

    Each pin is there because another version breaks what is compiled or written against it. ``causes`` say what needs
    which version, as the resolver said it; ``moved`` what would move. ``--allow-drift`` does it all the same, and the
    environment is marked as drifted on purpose; ``verl-env install`` goes back to the lock.
    """

    id = "pip-would-drift"
    command: str
    wishes: Sequence[str]
    lockset: str
    causes: Sequence[Cause]
    moved: Sequence[Change]

    @property
    def message(self) -> str:
        gone = self.command == "uninstall"
        lines = [f"{', '.join(self.wishes)} {'belongs to' if gone else 'does not go with'} {self.lockset}"]
        lines += [f"{why.by} needs {why.needs}, and {why.package} is locked at {why.locked}" for why in self.causes]
        if self.moved and not gone:
            named = [f"{change.name} {change.old} -> {change.new or 'gone'}" for change in self.moved[:_NAMED]]
            more = len(self.moved) - len(named)
            lines.append(f"it would move {', '.join(named)}{f' and {more} more' if more else ''}")
        return "\n  ".join(lines)

    @property
    def hint(self) -> str:
        anyway = f"verl-env pip {self.command} --allow-drift {shlex.join(self.wishes)}"
        if self.command == "uninstall":
            return f"to take it out knowingly: {anyway}"
        return f"ask for a version that goes with the lock; or to move these pins knowingly: {anyway}"


class UnresolvedError(VerlEnvError):
    """What should be added cannot be had at all, pins or no pins: a name nobody serves, or a conflict in itself."""

    id = "additions-unresolved"
    wishes: Sequence[str]
    output: Sequence[str]
    wheels_only: bool = False
    says = "{wishes:, } cannot be had:{output:*\n  }"
    helps = (
        "look for a misspelt name; an index of its own goes behind it: --extra-index-url URL"
        "{wheels_only:+; what has no wheel is built with --allow-builds, which runs its code}"
    )


class ComponentMissingError(NativeMissingError):
    """A native component cannot be had for an environment: none of its wheels fits, and it cannot be built here."""

    wishes: Sequence[str]
    state: State
    missing: NativeMissingError
    says = "{missing.message}"

    @property
    def hint(self) -> str:
        return f"every way, and why not: {_plan_command(self.state, self.wishes)}"


class GivenUnfitError(NativeMismatchError):
    """A wheel of a native component that was given to ``verl-env pip`` cannot work in the environment."""

    helps = "ask for it by its name, for a build that fits: verl-env pip install {name}"


class ComponentUnfitError(VerlEnvError):
    """A native component does not go with an environment: its lockset has another version, or this machine differs.

    Which version of flash-attn a lockset has is part of it: what is compiled against one fails on another.
    """

    id = "component-unfit"
    wishes: Sequence[str]
    state: State
    refusal: Refusal

    @property
    def message(self) -> str:
        lockset = self.state.lockset
        own = [each for each in self.refusal.evaluations if each.lockset.id == lockset]
        reasons = [verdict.message for each in own for verdict in each.failed] or ["it is not a lockset any more"]
        return f"{', '.join(self.wishes)} does not go with {lockset}: {'; '.join(reasons)}"

    @property
    def hint(self) -> str:
        return f"see what goes together: {_plan_command(self.state, self.wishes)}"


class NotInstalledError(VerlEnvError):
    """What should be taken out of an environment is not in it."""

    id = "package-not-installed"
    name: str
    path: Path
    says = "{name} is not installed in {path}"
    helps = "see what is: verl-env pip list"


class CommandMissingError(VerlEnvError):
    """``verl-env run``: there is no such command in the environment or on PATH (exit code 127, as in shells)."""

    id = "command-missing"
    exit_code = 127
    command: str
    path: Path

    @property
    def message(self) -> str:
        return f"there is no command {self.command!r} in {self.path / 'bin'} or on PATH"

    @property
    def hint(self) -> str:
        return f"if a package brings it: verl-env pip{_into(self.path)} install NAME"


class CommandRefusedError(VerlEnvError):
    """``verl-env run``: the command is there and cannot be started (exit code 126, as in shells)."""

    id = "command-not-executable"
    exit_code = 126
    command: str
    reason: str
    says = "{command} cannot be started: {reason}"
    helps = "make it executable (chmod +x {command}), or give its interpreter: verl-env run -- python FILE"
