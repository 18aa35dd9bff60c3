"""Children end, are killed, or are abandoned; nothing a child does can hold its parent."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from verl_env.machine import child, process
from verl_env.machine.child import (
    Abandoned,
    Children,
    Completed,
    NotFound,
    NotStarted,
    TimedOut,
    run,
    run_all,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = 60.0


def soon(seconds: float = 0.3) -> float:
    return time.monotonic() + seconds


def later() -> float:
    return soon(LONG)


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


@pytest.fixture
def unkillable(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """SIGKILL does nothing, as for a process in uninterruptible sleep; the test's end kills for real."""
    real, pids = os.killpg, list[int]()
    monkeypatch.setattr("verl_env.machine.process.os.killpg", lambda pid, _: pids.append(pid))
    yield pids
    for pid in pids:
        real(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    process.abandoned.clear()


def test_a_child_that_ends_gives_its_output_and_code() -> None:
    outcome = run(["/bin/sh", "-c", "echo out; echo err >&2; exit 3"], deadline=later())
    assert isinstance(outcome, Completed)
    assert (outcome.stdout, outcome.stderr, outcome.returncode) == (b"out\n", b"err\n", 3)
    assert not outcome.truncated
    assert outcome.seconds < LONG


def test_a_child_that_dies_of_a_signal_is_completed_with_its_number() -> None:
    outcome = run(["/bin/sh", "-c", "kill -SEGV $$"], deadline=later())
    assert isinstance(outcome, Completed)
    assert outcome.returncode == -signal.SIGSEGV


@pytest.mark.parametrize("argv", [["no-such-tool-of-any-vendor"], ["/no/such/directory/tool"]])
def test_a_program_that_is_not_there(argv: list[str]) -> None:
    assert run(argv, deadline=later()) == NotFound(tuple(argv))


def test_a_program_that_may_not_be_run(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_bytes(b"\x7fELF not really")
    tool.chmod(0o755)
    outcome = run([str(tool)], deadline=later())
    assert isinstance(outcome, NotStarted)
    assert "format" in outcome.reason


def test_an_argument_that_cannot_be_passed_is_an_outcome_not_an_exception() -> None:
    outcome = run(["/bin/echo", "a\0b"], deadline=later())
    assert isinstance(outcome, NotStarted)


def test_stdin_is_at_its_end() -> None:
    outcome = run(["/bin/cat"], deadline=later())
    assert isinstance(outcome, Completed)
    assert outcome.stdout == b""


def test_the_environment_is_the_one_given() -> None:
    outcome = run(["/bin/sh", "-c", "echo $ONLY-$HOME"], env={"ONLY": "this"}, deadline=later())
    assert isinstance(outcome, Completed)
    assert outcome.stdout == b"this-\n"


def test_a_child_has_no_terminal_and_a_group_of_its_own() -> None:
    outcome = run(python("import os; print(os.getsid(0) == os.getpgrp() == os.getpid())"), deadline=later())
    assert isinstance(outcome, Completed)
    assert outcome.stdout == b"True\n"


def test_output_beyond_the_limit_is_dropped_and_the_child_goes_on() -> None:
    outcome = run(python("print('x' * 500000, end=''); import sys; sys.exit(7)"), deadline=later(), max_bytes=1000)
    assert isinstance(outcome, Completed)
    assert outcome.stdout == b"x" * 1000
    assert outcome.truncated
    assert outcome.returncode == 7


def test_output_of_exactly_the_limit_is_whole() -> None:
    outcome = run(python("print('x' * 1000, end='')"), deadline=later(), max_bytes=1000)
    assert isinstance(outcome, Completed)
    assert outcome.stdout == b"x" * 1000
    assert not outcome.truncated


def test_much_output_on_both_streams_does_not_deadlock() -> None:
    code = "import os\nfor _ in range(50):\n os.write(1, b'o' * 8000); os.write(2, b'e' * 8000)"
    outcome = run(python(code), deadline=later())
    assert isinstance(outcome, Completed)
    assert (len(outcome.stdout), len(outcome.stderr)) == (400000, 400000)


def test_a_sleeping_child_is_killed_at_its_deadline_and_its_output_kept() -> None:
    outcome = run(["/bin/sh", "-c", "echo early; exec sleep 300"], deadline=soon())
    assert isinstance(outcome, TimedOut)
    assert outcome.stdout == b"early\n"


def test_a_child_that_ignores_every_polite_signal_is_killed() -> None:
    code = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(300)"
    )
    outcome = run(python(code), deadline=soon(1.0))
    assert isinstance(outcome, TimedOut)


def test_the_whole_group_dies_with_the_child() -> None:
    outcome = run(["/bin/sh", "-c", "sleep 300 & echo $!; wait"], deadline=soon())
    assert isinstance(outcome, TimedOut)
    grandchild = int(outcome.stdout)
    for _ in range(500):
        state = _state(grandchild)
        if state in {None, "Z"}:
            break
        time.sleep(0.01)
    assert state in {None, "Z"}


def _state(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return None


def test_a_child_that_survives_the_kill_is_abandoned(unkillable: list[int]) -> None:
    outcome = run(["/bin/sh", "-c", "echo early; exec sleep 300"], deadline=soon())
    assert isinstance(outcome, Abandoned)
    assert outcome.stdout == b"early\n"
    assert unkillable == [outcome.pid]
    assert process.abandoned == {outcome.pid}


def test_an_abandoned_child_warns_of_nothing_and_leaves_popen_nothing_to_wait_for(unkillable: list[int]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(run(["/bin/sleep", "300"], deadline=soon()), Abandoned)
        gc.collect()
    assert not subprocess._active  # type: ignore[attr-defined]


def test_an_abandoned_child_is_reaped_when_it_has_ended_after_all(
    unkillable: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = run(["/bin/sleep", "300"], deadline=soon())
    assert isinstance(outcome, Abandoned)
    unkillable.clear()
    monkeypatch.undo()
    os.killpg(outcome.pid, signal.SIGKILL)
    while _state(outcome.pid) != "Z":
        time.sleep(0.01)
    assert isinstance(run(["/bin/true"], deadline=later()), Completed)
    assert process.abandoned == set()
    assert _state(outcome.pid) is None


def test_python_itself_ends_although_a_child_was_abandoned() -> None:
    code = (
        "import time, os\n"
        "from verl_env.machine import child, process\n"
        "process.os.killpg = lambda *a: None\n"
        "print(child.run(['/bin/sleep', '300'], deadline=time.monotonic() + 0.1).pid)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, timeout=LONG, check=True)
    os.kill(int(done.stdout), signal.SIGKILL)
    assert done.stderr == b""


@pytest.mark.parametrize("redirect", ["", ">/dev/null", "2>/dev/null"])
def test_a_grandchild_that_keeps_a_pipe_open_holds_nobody(redirect: str) -> None:
    outcome = run(["/bin/sh", "-c", f"(sleep 300 {redirect}) & echo $!"], deadline=later())
    assert isinstance(outcome, Completed)
    os.kill(int(outcome.stdout), signal.SIGKILL)


def test_a_grandchild_that_writes_for_ever_holds_nobody() -> None:
    outcome = run(["/bin/sh", "-c", "yes & echo $! >&2"], deadline=later(), max_bytes=1 << 16)
    assert isinstance(outcome, Completed)
    os.kill(int(outcome.stderr), signal.SIGKILL)
    assert len(outcome.stdout) <= 1 << 16


def test_a_child_that_closes_its_pipes_is_waited_for() -> None:
    outcome = run(["/bin/sh", "-c", "exec >&- 2>&-; sleep 0.2; exit 5"], deadline=later())
    assert isinstance(outcome, Completed)
    assert outcome.returncode == 5


def test_after_its_last_words_a_child_is_not_waited_for() -> None:
    with Children(deadline=later()) as children:
        child_ = children.start(["/bin/sh", "-c", "echo some; echo end; exec sleep 300"], last_words=b"end\n")
        outcome = children.wait(child_)
    assert isinstance(outcome, Completed)
    assert (outcome.stdout, outcome.returncode) == (b"some\nend\n", 0)
    for pid in tuple(process.abandoned):
        while _state(pid) not in {None, "Z"}:
            time.sleep(0.01)
    run(["/bin/true"], deadline=later())
    assert process.abandoned == set()


def test_a_child_without_its_last_words_ends_as_any_other() -> None:
    with Children(deadline=later()) as children:
        outcome = children.wait(children.start(["/bin/sh", "-c", "echo end here; exit 4"], last_words=b"end\n"))
    assert isinstance(outcome, Completed)
    assert outcome.returncode == 4


def test_last_words_and_the_end_at_once() -> None:
    with Children(deadline=later()) as children:
        started = (children.start(["/bin/echo", "end"], last_words=b"end\n") for _ in range(20))
        outcomes = [children.wait(child_) for child_ in started]
    assert {outcome.returncode for outcome in outcomes if isinstance(outcome, Completed)} == {0}
    assert len(outcomes) == 20


def test_all_outcomes_come_in_the_order_of_the_programs() -> None:
    outcomes = run_all(
        [["/bin/sh", "-c", "sleep 0.2; echo slow"], ["no-such-tool"], ["/bin/echo", "fast"], ["/bin/sleep", "300"]],
        deadline=soon(2.5),
    )
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [Completed, NotFound, Completed, TimedOut]
    assert [outcome.stdout for outcome in outcomes if isinstance(outcome, Completed)] == [b"slow\n", b"fast\n"]


def test_many_unkillable_children_cost_one_grace_in_all(unkillable: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = _Clock()
    monkeypatch.setattr("verl_env.machine.process.time.monotonic", clock)
    outcomes = run_all([["/bin/sleep", "300"]] * 8, deadline=1.0)
    assert all(isinstance(outcome, Abandoned) for outcome in outcomes)
    assert clock.now < 1.0 + 2 * process.GRACE


class _Clock:
    """A clock that goes on by a hundredth of a second with every look at it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.01
        return self.now


def test_a_deadline_of_its_own_counts_when_it_comes_first() -> None:
    with Children(deadline=later()) as children:
        slow = children.start(["/bin/sleep", "300"], deadline=soon())
        assert isinstance(children.wait(slow), TimedOut)
        late = children.start(["/bin/sleep", "300"], deadline=later() + LONG)
        assert late.deadline == children.deadline


def test_waiting_for_one_serves_the_others() -> None:
    with Children(deadline=later()) as children:
        big = children.start(python("import os\nfor _ in range(40): os.write(1, b'x' * 8000)"))
        slow = children.start(["/bin/sleep", "0.5"])
        children.wait(slow)
        assert isinstance(children.wait(big), Completed)


def test_leaving_the_block_kills_what_still_runs() -> None:
    with Children(deadline=later()) as children:
        running = children.start(["/bin/sleep", "300"])
        assert running.outcome is None
    assert isinstance(running.outcome, Abandoned)
    while _state(running.outcome.pid) not in {None, "Z"}:
        time.sleep(0.01)
    run(["/bin/true"], deadline=later())
    assert process.abandoned == set()


def test_an_exception_inside_the_block_passes_and_the_child_is_killed() -> None:
    children = Children(deadline=later())
    running = children.start(["/bin/sleep", "300"])
    with pytest.raises(KeyboardInterrupt), children:
        raise KeyboardInterrupt
    assert isinstance(running.outcome, Abandoned)


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_no_descriptor_is_left_open() -> None:
    before = _descriptors()
    run_all([["/bin/echo", "x"], ["no-such-tool"], ["/bin/sleep", "300"]], deadline=soon())
    assert _descriptors() == before


def test_the_public_names_are_all_there() -> None:
    assert all(hasattr(child, name) for name in child.__all__)
