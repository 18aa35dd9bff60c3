"""SIGKILL at any moment leaves the old environment or the new one, and the next run completes."""

import hashlib
import os
import random
import signal
import time

import pytest

from tests.install.environments import is_tidy
from tests.install.killing import after, die, fork, kill_after
from tests.install.plans import Recorder, check, lockset, options, plan
from tests.rounds import rounds
from verl_env.environment import change as changing
from verl_env.environment.target import Target, open_target
from verl_env.install import transaction
from verl_env.install.run import install

pytestmark = pytest.mark.slow

KILLS = rounds(6, 0.3)
FIRST_KILLS = rounds(3, 0.1)
#: What two makings of one state may differ in: the time, bytecode, and uv's note of the cached file's age.
VOLATILE = ("verl-env.json", "uv_cache.json", ".pyc")


def snapshot(path):
    """Every file of an environment with its content, as it is seen through the path; None where there is none."""
    if not path.exists():
        return None
    found = {}
    for folder, _, names in os.walk(path):
        for name in names:
            file = os.path.join(folder, name)  # noqa: PTH118
            if os.path.islink(file):  # noqa: PTH114
                found[os.path.relpath(file, path)] = os.readlink(file)  # noqa: PTH115
            elif name == "RECORD":
                found[os.path.relpath(file, path)] = "record"
            elif not name.endswith(VOLATILE):
                with open(file, "rb") as opened:  # noqa: PTH123
                    found[os.path.relpath(file, path)] = hashlib.sha256(opened.read()).hexdigest()
    return found


class World:
    """Two states of one target, made by uv from a directory of wheels."""

    def __init__(self, tmp_path, house, path):
        self.tmp_path = tmp_path
        self.house = house
        self.path = path
        same = house.add("same", "1.0", {f"same/m{n}.py": f"x = {n}\n" for n in range(40)})
        self.plans = {}
        for state, version in (("old", "1.0"), ("new", "2.0")):
            files = {f"demo/m{n}.py": f"version = {version!r}, {n}\n" for n in range(40)}
            demo = house.add("demo", version, files, scripts={"demo-run": f"#!python\nprint({version!r})\n"})
            only = house.add(f"only-{state}", version)
            lock = lockset(id=f"verl0.1/{state}", checks=(check(code="import demo.m1, same.m2"),))
            self.plans[state] = plan([same, demo, only], lock=lock)

    def install(self, state):
        settings = options(self.tmp_path, offline=True, wheelhouse=self.house.path, installer="uv", lock_seconds=60)
        return install(self.plans[state], open_target(self.path), settings, Recorder())

    def fork(self, state, before=lambda: None):
        """Starts an installation in a process of its own; exit code 0 when it ends well."""

        def work():
            before()
            self.install(state)

        return fork(work)

    def only_what_belongs_there(self):
        return is_tidy(self.path)


@pytest.fixture
def world(tmp_path, house, target_path):
    return World(tmp_path, house, target_path)


@pytest.fixture
def snapshots(world):
    """How the two states look when they are complete; leaves the target in the second, and the seconds it took."""
    seen, started = {}, 0.0
    for state in ("old", "new"):
        started = time.monotonic()
        world.install(state)
        seen[state] = snapshot(world.path)
    assert seen["old"] != seen["new"]
    return seen, time.monotonic() - started


def test_killed_at_random_moments(world, snapshots):
    seen, seconds = snapshots
    here, there = "new", "old"
    outcomes = []
    for number in range(KILLS):
        moment = seconds * 1.1 * (number + random.random()) / KILLS
        code = kill_after(world.fork(there), moment)
        found = snapshot(world.path)
        assert found in (seen[here], seen[there]), f"a mixture after {moment:.4f} s of {seconds:.4f} s"
        outcomes.append((code, found == seen[there]))
        world.install(there)
        assert snapshot(world.path) == seen[there]
        assert world.only_what_belongs_there()
        here, there = there, here
    assert sum(code == -signal.SIGKILL for code, _ in outcomes) >= KILLS // 2
    assert any(not switched for _, switched in outcomes)


def test_killed_at_random_moments_of_a_first_installation(world, snapshots, tmp_path):
    seen, seconds = snapshots
    for number in range(FIRST_KILLS):
        world.path.unlink()
        moment = seconds * (number + random.random()) / FIRST_KILLS
        kill_after(world.fork("new"), moment)
        assert snapshot(world.path) in (None, seen["new"])
        world.install("new")
        assert snapshot(world.path) == seen["new"]
        assert world.only_what_belongs_there()


POINTS = {
    "before anything is made": (changing.journal, "begin", die, False),
    "after the journal": (changing.journal, "begin", after(changing.journal.begin), False),
    "before the old is carried over": (transaction, "reuse", die, False),
    "before paths are rewritten": (changing, "relocate", die, False),
    "before the state is written": (changing, "write_state", die, False),
    "after the state is written": (changing, "write_state", after(changing.write_state), False),
    "after the history is written": (changing, "write_entries", after(changing.write_entries), False),
    "before the switch": (Target, "point_to", die, False),
    "after the switch": (Target, "point_to", after(Target.point_to), True),
}


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_certain_moments(world, snapshots, point):
    seen, _ = snapshots
    where, name, dying, switched = POINTS[point]
    pid = world.fork("old", lambda: setattr(where, name, dying))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert snapshot(world.path) == seen["old" if switched else "new"]
    assert world.install("old").done is not switched
    assert snapshot(world.path) == seen["old"]
    assert world.only_what_belongs_there()


def test_killed_while_the_old_is_removed(world, snapshots):
    seen, _ = snapshots
    tidy = changing.clear
    calls = []

    def second_time(target):
        calls.append(target)
        if len(calls) == 2:
            (target.leftovers()[0] / "pyvenv.cfg").unlink()
            die()
        tidy(target)

    pid = world.fork("old", lambda: setattr(changing, "clear", second_time))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert snapshot(world.path) == seen["old"]
    assert not world.only_what_belongs_there()
    assert not world.install("old").done
    assert world.only_what_belongs_there()


def test_a_journal_that_was_left_alone_goes(world, snapshots):
    journal = Target(world.path).journal
    journal.write_text("{}")
    assert not world.install("new").done
    assert not journal.exists()


def test_two_runs_at_once_take_turns(world, snapshots):
    seen, _ = snapshots
    pids = [world.fork("old"), world.fork("old")]
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0, 0]
    assert snapshot(world.path) == seen["old"]
    assert world.only_what_belongs_there()
