"""An installation as text and as JSON: its steps while they run, what changed, what came of it."""

from __future__ import annotations

import re
import sys
import time
from typing import TYPE_CHECKING

from verl_env.choose.explain import why
from verl_env.cli.console import wrapped
from verl_env.command_line import quoted
from verl_env.install.completeness import of_plan
from verl_env.install.plan_json import native_to_json
from verl_env.plans.sizes import cost
from verl_env.sizes import human

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from rich.console import Console

    from verl_env.choose.model import Choice, Request
    from verl_env.environment.history import Change
    from verl_env.environment.target import Target
    from verl_env.errors import VerlEnvError
    from verl_env.install.completeness import Completeness
    from verl_env.install.prepare import PreparedPlace
    from verl_env.plans.inspection import Inspection
    from verl_env.plans.model import Cost, InstallOutcome, Plan, Step

#: Changes of one kind that are listed; more are counted, unless all are asked for.
LISTED = 20
#: Seconds between two states of a download on a terminal.
_REDRAW = 0.1
#: Seconds between two lines on a build where there is no terminal.
_TOLD = 30.0

STYLES = {"+": "green", "-": "red", "~": "yellow"}


#: How a line begins in which uv lists a package or names the environment.
_LISTED = re.compile(rb" [+~-] |Using Python \S+ environment at")
_STYLE = re.compile(rb"\x1b\[[\d;]*m|\x1b(?:\[[\d;]*)?$")


class Passed:
    """Passes an installer's output on to a terminal, but for uv's list of packages, which comes at the end as ours."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._held = b""

    def __call__(self, data: bytes) -> None:
        """Takes what came; the beginning of a line that may be one of the list is held back until it is whole."""
        *lines, rest = (self._held + data).split(b"\n")
        self._held = rest if self._may_be_listed(rest) else b""
        shown = b"".join(line + b"\n" for line in lines if not _LISTED.match(_STYLE.sub(b"", line)))
        self._write(shown + rest[len(self._held) :])

    @staticmethod
    def _may_be_listed(rest: bytes) -> bool:
        plain = _STYLE.sub(b"", rest)
        beginnings = (b" + ", b" - ", b" ~ ", b"Using Python ")
        return any(plain.startswith(each) or each.startswith(plain) for each in beginnings)


class InstallProgress:
    """Tells of a running installation on a console: headings, and on a terminal the installer's own progress."""

    def __init__(self, console: Console, steps: int) -> None:
        self._console = console
        self._steps = steps
        self._step = 0
        self._drawn = float("-inf")
        self._told = time.monotonic()
        self._open = False

    @property
    def terminal(self) -> Callable[[bytes], None] | None:
        """Passes on to stderr, where that is a terminal."""
        return Passed(_write_stderr) if self._console.is_terminal else None

    def begin(self, step: Step) -> None:
        self._step += 1
        self._told = time.monotonic()
        detail = f" ({step.detail})" if step.detail else ""
        self._line(f"[{self._step}/{self._steps}] {step.title}{detail}", style="bold")

    def end(self, step: Step, seconds: float, detail: str) -> None:
        del step
        self._close()
        self._line(f"      {detail}{', ' if detail else ''}{seconds:.1f} s", style="dim")

    def progress(self, name: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if self._console.is_terminal and (now - self._drawn > _REDRAW or done == total):
            size = f"{human(done)} of {human(total)}" if total else human(done)
            _write_stderr(f"\r\x1b[K      {name}: {size}".encode())
            self._drawn = now
            self._open = True

    def building(self, name: str, done: int | None, total: int | None, seconds: float) -> None:
        now = time.monotonic()
        if now - self._told < (_REDRAW if self._console.is_terminal else _TOLD):
            return
        self._told = now
        steps = f"{done} of {total} steps, " if done is not None and total else ""
        text = f"{name}: {steps}{_clock(seconds)}"
        if self._console.is_terminal:
            _write_stderr(f"\r\x1b[K      {text}".encode())
            self._open = True
        else:
            self._line(f"      {text}", style="dim")

    def note(self, message: str) -> None:
        self._close()
        self._line(f"      {_hidden(message)}", style="dim")

    def warn(self, message: str) -> None:
        self._close()
        self._line(f"warning: {_hidden(message)}", style="yellow")

    def _close(self) -> None:
        if self._open:
            _write_stderr(b"\n")
            self._open = False

    def _line(self, text: str, *, style: str) -> None:
        self._console.print(text, style=style, markup=False, highlight=False)


def chosen(console: Console, plan: Plan, choice: Choice, request: Request) -> None:
    """One line: what was chosen, and why; then what to be warned of."""
    lockset = plan.lockset
    versions = [f"verl {lockset.verl}", *(f"{name} {version}" for name, version in lockset.engines.items())]
    versions += [f"torch {lockset.torch}", f"Python {plan.python}"]
    reason = "; ".join(why(choice, request)[:1])
    console.print(lockset.id, style="bold green", end="", markup=False)
    console.print(f": {', '.join(versions)}{f' ({reason})' if reason else ''}", markup=False, highlight=False)
    for warning in plan.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False, highlight=False)


def outcome(console: Console, plan: Plan, result: InstallOutcome, *, into: str, verbose: bool) -> None:
    """What changed, what is missing, and how to use the environment."""
    if not result.done:
        console.print(f"nothing to do: {into} is {plan.lockset.id} as locked", markup=False, highlight=False)
    changes(console, plan, result.changes, verbose=verbose)
    for name, reason in result.left_out.items():
        console.print(f"left out: {name} ({reason})", style="yellow", markup=False, highlight=False)
    for check, reason in result.skipped.items():
        console.print(f"not checked: {check} ({reason})", style="yellow", markup=False, highlight=False)
    if result.done:
        console.print(f"{into} is ready ({result.seconds:.1f} s); use it:", markup=False, highlight=False)
        activate = quoted("source", f"{into.rstrip('/')}/bin/activate")
        console.print(f"  {activate}", style="bold", markup=False, highlight=False)


def _hidden(message: str) -> str:
    from verl_env.credentials import hide_secrets  # its patterns take 13 ms, and a plan shows nothing that has any

    return hide_secrets(message)


def completeness(console: Console, found: Completeness) -> None:
    """Whether verl has what it trains with: one line, or what stops and what helps."""
    first, *more = found.lines()
    style = "bold green" if found.complete else "bold yellow"
    console.print(first, style=style, markup=False, highlight=False, soft_wrap=True)
    for line in more:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def changes(console: Console, plan: Plan, lines: Sequence[Change], *, verbose: bool) -> None:
    """``+ - ~`` lines; a kind with many of them in one."""
    for kind in ("-", "~", "+"):
        same = [change for change in lines if change.kind == kind]
        if len(same) > LISTED and not verbose:
            names = {change.name for change in same}
            size = cost(package for package in plan.packages if package.name in names).download_bytes
            size_text = f" ({human(size)})" if kind != "-" and size else ""
            console.print(f"{kind} {len(same)} packages{size_text}", style=STYLES[kind], markup=False, highlight=False)
            continue
        for change in same:
            console.print(change_text(change), style=STYLES[kind], markup=False, highlight=False)


def change_text(change: Change) -> str:
    """One line of ``+ - ~``."""
    versions = " -> ".join(version for version in (change.old, change.new) if version is not None)
    return f"{change.kind} {change.name} {versions}"


def steps(console: Console, plan: Plan) -> None:
    """The steps of a plan, numbered."""
    for number, step in enumerate(plan.steps, 1):
        detail = f" ({step.detail})" if step.detail else ""
        head = f"[{number}/{len(plan.steps)}] "
        line = wrapped(console, f"{step.title}{detail}", len(head), len(head))
        console.print(head + line, markup=False, highlight=False)


def dry_run(
    console: Console, plan: Plan, target: Target, seen: Inspection, *, room: PreparedPlace | None, verbose: bool
) -> None:
    """What an installation would do: steps, changes, sizes."""
    console.print(f"{plan.lockset.id} into {target.path}", style="bold", markup=False, highlight=False)
    if seen.complete:
        console.print("nothing to do", markup=False)
        return
    if not seen.changes:
        console.print(f"the packages are right, but {seen.reason}", markup=False, highlight=False)
    steps(console, plan)
    changes(console, plan, seen.changes, verbose=verbose)
    size = _added_cost(plan, seen)
    sizes = f"at most {human(size.download_bytes)} to download and {human(size.disk_bytes)} on disk"
    console.print(f"{sizes} in about {size.files:,} files", highlight=False)
    if room is not None:
        console.print(f"{room.place}: {room.text}", markup=False, highlight=False, soft_wrap=True)
    for warning in plan.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False, highlight=False)


def problems(console: Console, errors: Sequence[VerlEnvError]) -> None:
    """What would stop an installation."""
    for error in errors:
        console.print(f"problem: {error.message} [{error.id}]", style="red", markup=False, highlight=False)
        console.print(f"         {error.hint}", style="dim", markup=False, highlight=False)


def dry_run_json(
    plan: Plan,
    target: Target,
    seen: Inspection,
    *,
    room: PreparedPlace | None,
    problems: Sequence[VerlEnvError],
    into: str = ".venv",
) -> dict[str, Any]:
    """The same for programs."""
    size = _added_cost(plan, seen)
    return {
        **_common_json(plan, seen.changes),
        **of_plan(plan, known_missing(seen), into).to_json(),
        "dry_run": True,
        "done": False,
        "path": str(target.path),
        "nothing_to_do": seen.complete,
        "reason": seen.reason,
        "steps": [{"kind": step.kind, "title": step.title, "detail": step.detail} for step in plan.steps],
        "download_bytes": size.download_bytes,
        "disk_bytes": size.disk_bytes,
        "disk_files": size.files,
        **_room_json(room),
        "problems": [error.to_json() for error in problems],
    }


def known_missing(seen: Inspection) -> dict[str, str]:
    """What could not be had the last time, where nothing is to be done."""
    return dict(seen.state.left_out) if seen.complete and seen.state is not None else {}


def outcome_json(plan: Plan, result: InstallOutcome, seen: Inspection, into: str = ".venv") -> dict[str, Any]:
    """What came of an installation, for programs."""
    return {
        **_common_json(plan, result.changes),
        **of_plan(plan, result.left_out, into).to_json(),
        "dry_run": False,
        "done": result.done,
        "path": str(result.path),
        "reason": seen.reason,
        "left_out": dict(result.left_out),
        "ways": dict(result.ways),
        "checks": list(result.checks),
        "skipped_checks": dict(result.skipped),
        "seconds": round(result.seconds, 3),
    }


def _common_json(plan: Plan, lines: Sequence[Change]) -> dict[str, Any]:
    return {
        "schema": 1,
        "stack": plan.stack,
        "lockset": plan.lockset.id,
        "python": plan.python,
        "changes": [
            {"kind": change.kind, "name": change.name, "old": change.old, "new": change.new} for change in lines
        ],
        "native": [native_to_json(choice) for choice in plan.natives],
        "warnings": list(plan.warnings),
    }


def _room_json(room: PreparedPlace | None) -> dict[str, Any]:
    """What is free and by which limit, and the installer's cache."""
    if room is None:
        return {}
    return {
        "free_bytes": room.free.bytes,
        "free_files": room.free.files,
        "free_by": {"bytes": room.free.bytes_by, "files": room.free.files_by},
        "cache": {"path": None if room.cache is None else str(room.cache), "linked": room.linked},
    }


def _added_cost(plan: Plan, seen: Inspection) -> Cost:
    """What is added or changed costs."""
    names = {change.name for change in seen.changes if change.kind != "-"}
    return cost(package for package in plan.packages if package.name in names)


def _clock(seconds: float) -> str:
    """A duration as ``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _write_stderr(data: bytes) -> None:
    sys.stderr.flush()
    sys.stderr.buffer.write(data)
    sys.stderr.buffer.flush()
