import contextlib
import os
import signal
import time

import pytest

from verl_env.environment import change as change_module
from verl_env.environment import journal
from verl_env.environment.errors import EnvironmentLockedError
from verl_env.environment.lock import locked
from verl_env.environment.target import Target


@pytest.fixture
def target(target_path):
    target = Target(target_path)
    target.make_store()
    return target


class Holder:
    """A process that holds the lock until it is told to leave, or is killed."""

    def __init__(self, target):
        ready, told = os.pipe()
        waits, self._leave = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._leave)
            self._hold(target, told, waits)
        os.close(told)
        os.close(waits)
        assert os.read(ready, 1) == b"r"
        os.close(ready)

    def _hold(self, target, told, waits):
        try:
            with locked(target, seconds=0, waiting=print):
                journal.begin(target.journal, "0001")
                os.write(told, b"r")
                os.read(waits, 1)
        finally:
            os._exit(0)

    def leave(self):
        os.close(self._leave)

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


@pytest.fixture
def holder(target):
    holder = Holder(target)
    yield holder
    with contextlib.suppress(OSError):
        holder.end()


def test_nobody_waits_for_a_free_lock(target):
    told = []
    with locked(target, seconds=0, waiting=told.append):
        assert told == []


def test_a_second_run_says_who_holds_it_and_gives_up(target, holder):
    told = []
    with pytest.raises(EnvironmentLockedError) as caught, locked(target, seconds=0.3, waiting=told.append):
        pytest.fail("it must not get in")
    assert f"process {holder.pid} on " in told[0]
    assert f"process {holder.pid} on " in caught.value.message


def test_a_second_run_waits_for_the_first(target, holder):
    told = []

    def waiting(who):
        told.append(who)
        holder.leave()

    with locked(target, seconds=10, waiting=waiting):
        assert len(told) == 1


def test_the_lock_of_a_killed_run_is_free(target, holder):
    holder.end()
    started = time.monotonic()
    with locked(target, seconds=5, waiting=lambda _: None):
        assert time.monotonic() - started < 5


def test_what_was_begun_goes_though_its_killed_check_is_still_there(target, monkeypatch):
    # Nobody waits for the end of a child that was killed, and it has the generation open until then.
    monkeypatch.setattr(change_module, "in_use", lambda _: frozenset({"0001"}))
    with change_module.change(target, "install", waiting=print) as new:
        (new.path / "lib").mkdir(parents=True)
    assert not new.path.exists()
