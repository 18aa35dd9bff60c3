"""A forked child: apart from its parent in every way that could hold it, and killed and abandoned as any other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from verl_env.machine import fork as module
from verl_env.machine.child import Abandoned, Children, Completed, Outcome, TimedOut
from verl_env.machine.fork import Forked, fork

START = """
import os, sys, time
from verl_env.machine.child import Children
from verl_env.machine.fork import fork
"""


def alone(code: str, **env: str) -> Any:
    """What a program of one thread, which this test process may not be, prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", START + code], env={**os.environ, **env}, capture_output=True, timeout=60, check=True
    )
    return json.loads(done.stdout)


def told(work: str, *, seconds: float = 30.0, **env: str) -> tuple[str, str, int]:
    """The kind of outcome, stdout and exit code of a forked function whose body is given."""
    kind, out, code = alone(
        f"def work():\n    {work}\n"
        f"with Children(deadline=time.monotonic() + {seconds}) as children:\n"
        "    outcome = children.wait(children.adopt(fork(work, unset=('HIDDEN',)), 'work'))\n"
        "import json\n"
        "print(json.dumps([type(outcome).__name__, outcome.stdout.decode(), getattr(outcome, 'returncode', -1)]))",
        **env,
    )
    return str(kind), str(out), int(code)


def test_what_it_writes_is_read() -> None:
    assert told("os.write(1, b'said')") == ("Completed", "said", 0)


def test_an_exception_is_an_exit_code() -> None:
    assert told("raise ValueError") == ("Completed", "", 1)


def test_the_end_of_the_program_is_not_its_end() -> None:
    assert told("sys.exit(0)") == ("Completed", "", 1)


def test_a_signal_is_told() -> None:
    assert told("os.kill(os.getpid(), 11)") == ("Completed", "", -signal.SIGSEGV)


def test_it_has_no_terminal_no_input_and_a_group_of_its_own() -> None:
    work = "os.write(1, repr((os.getsid(0) == os.getpgrp() == os.getpid(), os.read(0, 1))).encode())"
    assert told(work) == ("Completed", "(True, b'')", 0)


def test_it_holds_no_descriptor_of_its_parent() -> None:
    work = "os.write(1, ' '.join(os.listdir('/proc/self/fd')).encode())"
    assert set(told(work)[1].split()) <= {"0", "1", "2", "3"}


def test_a_variable_can_be_kept_from_it() -> None:
    work = (
        "import ctypes; libc = ctypes.CDLL(None); libc.getenv.restype = ctypes.c_char_p; "
        "os.write(1, repr((libc.getenv(b'HIDDEN'), libc.getenv(b'SHOWN'))).encode())"
    )
    assert told(work, HIDDEN="a", SHOWN="b") == ("Completed", "(None, b'b')", 0)


def test_at_its_deadline_it_is_killed_and_what_it_said_is_kept() -> None:
    assert told("os.write(1, b'early'); time.sleep(300)", seconds=0.5) == ("TimedOut", "early", -1)


def test_one_that_cannot_be_killed_is_abandoned_and_holds_nobody() -> None:
    pid = alone(
        "from verl_env.machine import process\n"
        "process.os.killpg = lambda *a: None\n"
        "with Children(deadline=time.monotonic() + 0.2) as children:\n"
        "    outcome = children.wait(children.adopt(fork(lambda: time.sleep(300)), 'sleeper'))\n"
        "print(outcome.pid if type(outcome).__name__ == 'Abandoned' else 0)"
    )
    os.kill(int(pid), signal.SIGKILL)


def test_a_process_with_threads_is_not_forked() -> None:
    waiting = threading.Event()
    thread = threading.Thread(target=waiting.wait)
    thread.start()
    try:
        assert fork(lambda: None) is None
    finally:
        waiting.set()
        thread.join()


def test_where_nothing_can_be_forked_there_is_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError

    monkeypatch.setattr(module, "_TASKS", "/proc/self/fd/../task")
    monkeypatch.setattr("verl_env.machine.fork.os.fork", refuse)
    monkeypatch.setattr("verl_env.machine.fork.os.listdir", lambda _: ["1"])
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert fork(lambda: None) is None
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def sleeper() -> tuple[subprocess.Popen[bytes], Forked]:
    """A process of this one, as ``fork`` would have given it."""
    read, write = os.pipe()
    process = subprocess.Popen(["/bin/sleep", "300"], stdout=write)
    os.close(write)
    return process, Forked(process.pid, {1: read})


def test_one_that_nobody_adopts_is_killed() -> None:
    process, forked = sleeper()
    forked.close()
    assert process.wait(60) == -signal.SIGKILL
    assert forked.streams == {}


def test_one_that_has_ended_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    process, forked = sleeper()
    process.kill()
    while forked.poll() is None:
        time.sleep(0.01)
    process.returncode = forked.returncode
    monkeypatch.setattr("verl_env.machine.fork.os.kill", lambda *_: pytest.fail("a foreign process may have its id"))
    forked.close()
    assert forked.returncode == -signal.SIGKILL


def test_one_without_a_group_of_its_own_is_killed_at_its_deadline() -> None:
    process, forked = sleeper()
    with Children(deadline=time.monotonic() + 0.2) as children:
        outcome: Outcome = children.wait(children.adopt(forked, "sleeper"))
    process.returncode = -signal.SIGKILL
    assert isinstance(outcome, TimedOut)
    assert not isinstance(outcome, Abandoned | Completed)
