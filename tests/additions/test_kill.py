"""SIGKILL at any moment of ``verl-env pip`` leaves the environment before or after, and the next one completes."""

import os
import random
import signal
import time

import pytest

from tests.install.environments import is_tidy
from tests.install.killing import after, die, fork, kill_after
from tests.install.whole.test_kill import snapshot
from tests.rounds import rounds
from verl_env.environment import change as changing
from verl_env.environment.change import NewGeneration
from verl_env.environment.state import read_state
from verl_env.environment.target import Target
from verl_env.install.alter import change as adding

pytestmark = pytest.mark.slow

KILLS = rounds(5, 0.3)


class Seesaw:
    """An environment with and without an addition, as each looks when it is complete."""

    def __init__(self, world):
        self.world = world
        self.now = "without"
        self.seen = {"without": self.look()}
        #: How long the way out of each state takes: taking out is quicker than adding.
        self.seconds = {}
        for state in ("without", "with"):
            started = time.monotonic()
            self.turn()
            self.seconds[state] = time.monotonic() - started
            self.now = self.other()
            self.seen[self.now] = self.look()
        assert self.seen["with"] != self.seen["without"]

    def look(self):
        """The files, and what the record and the pins say of additions."""
        return snapshot(self.world.path), sorted(extra.name for extra in read_state(self.world.path).extras)

    def other(self):
        return "without" if self.now == "with" else "with"

    def turn(self):
        """Adds what is not there, or takes out what is."""
        if self.now == "without":
            self.world.add("thing")
        else:
            self.world.remove("thing", "helper")

    def fork(self, before=lambda: None):
        def work():
            before()
            self.turn()

        return fork(work)

    def after_a_kill(self):
        """What is there is one of the two, whole; then the next run completes, and nothing is left beside it."""
        found = self.look()
        assert found in self.seen.values()
        switched = found == self.seen[self.other()]
        if not switched:
            self.turn()
        self.now = self.other()
        assert self.look() == self.seen[self.now]
        if not switched:
            assert is_tidy(self.world.path)
        return switched


@pytest.fixture
def seesaw(world):
    return Seesaw(world)


def test_killed_at_random_moments(seesaw):
    switched = []
    killed = 0
    for number in range(KILLS):
        moment = seesaw.seconds[seesaw.now] * (number + random.random()) / KILLS
        killed += kill_after(seesaw.fork(), moment) == -signal.SIGKILL
        switched.append(seesaw.after_a_kill())
    assert killed >= KILLS // 2
    assert not all(switched)


POINTS = {
    "before the old is taken over": (NewGeneration, "begin_from_old", die, False),
    "after the interpreter is taken over": (
        NewGeneration,
        "begin_from_old",
        after(NewGeneration.begin_from_old),
        False,
    ),
    "after a part is installed": (adding, "run_installer", after(adding.run_installer), False),
    "before the packages are linked": (NewGeneration, "take_over", die, False),
    "after the packages are linked": (NewGeneration, "take_over", after(NewGeneration.take_over), False),
    "before the record is written": (changing, "write_state", die, False),
    "after the record is written": (changing, "write_state", after(changing.write_state), False),
    "after the pins are written": (changing, "write_pins", after(changing.write_pins), False),
    "after the history is written": (changing, "write_entries", after(changing.write_entries), False),
    "after the switch": (Target, "point_to", after(Target.point_to), True),
}


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_certain_moments(seesaw, point):
    where, name, dying, switched = POINTS[point]
    pid = seesaw.fork(lambda: setattr(where, name, dying))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert seesaw.after_a_kill() is switched


def test_an_installation_clears_what_a_killed_addition_left(seesaw):
    pid = seesaw.fork(lambda: setattr(changing, "write_state", die))
    os.waitpid(pid, 0)
    assert not is_tidy(seesaw.world.path)
    assert not seesaw.world.install().done
    assert is_tidy(seesaw.world.path)
