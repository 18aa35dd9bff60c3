"""SIGKILL at any moment of any change leaves an environment as it was or as it is to be; the next change completes.

``install`` and ``verl-env pip`` have tests of the same kind beside theirs.
"""

import os
import random
import signal
import time

import pytest

from tests.install.environments import is_tidy
from tests.install.killing import after, die, fork, kill_after
from tests.install.whole.test_kill import snapshot
from tests.rounds import rounds
from verl_env.doctor import fix as fixing
from verl_env.doctor.engines.host import HostFacts
from verl_env.doctor.facts import Facts
from verl_env.doctor.gather import gather
from verl_env.doctor.model import Diagnosis, Finding, Fix, Remedy
from verl_env.environment import change as changing
from verl_env.environment import plain as plain_module
from verl_env.environment.change import NewGeneration, changeable
from verl_env.environment.plain import PlainTarget
from verl_env.environment.rollback import rollback
from verl_env.environment.target import Target
from verl_env.machine.model import Machine
from verl_env.patches import change as patches

pytestmark = pytest.mark.slow

KILLS = rounds(3, 0.1)
#: What is no part of a state: our number of a generation, and the lock that uv leaves behind.
NOTES = {plain_module.MARK, ".lock"}


class Patches:
    """The runtime is in the environment, or not."""

    def __init__(self, path):
        self.path = path
        patches.apply(path)

    def turn(self):
        patches.remove(self.path) if patches.is_installed(self.path) else patches.apply(self.path)


class Remedies:
    """``doctor --fix`` puts a package in, or takes it out."""

    def __init__(self, path):
        self.path = path

    def turn(self):
        there = "thing" in changing.packages_of(self.path)
        fix = Fix(uninstall=("thing",)) if there else Fix(install=("thing==1.0",))
        finding = Finding("broken", "other", "error", "t", ("e",), "c", Remedy("x", (), fix), ())
        facts = gather(self.path, {}, Machine(), host=HostFacts())
        assert isinstance(facts, Facts)
        done = fixing.apply(fixing.FixStep(finding, fix, ()), facts, Diagnosis((finding,)), lambda _: Diagnosis(()))
        assert done.state == "mended", done


class Back:
    """The state before the last change, and that one again."""

    def __init__(self, path):
        self.path = path
        patches.remove(path)

    def turn(self):
        rollback(changeable(self.path), waiting=lambda _: None)


class Seesaw:
    """Two states of one environment, each as it looks when it is complete."""

    def __init__(self, subject):
        self.subject = subject
        self.seen = [self.look()]
        started = time.monotonic()
        subject.turn()
        self.seen.append(self.look())
        self.seconds = time.monotonic() - started
        assert self.seen[0] != self.seen[1]
        self.here = 1

    def look(self):
        return {name: content for name, content in snapshot(self.subject.path).items() if name not in NOTES}

    def killed(self, before=lambda: None, seconds=600.0):
        """Turns in a process that is killed; whether the change was put in force. Then makes up for it."""

        def work():
            before()
            self.subject.turn()

        code = kill_after(fork(work), seconds)
        found = self.look()
        assert found in self.seen, "a mixture"
        switched = found == self.seen[1 - self.here]
        if not switched:
            self.subject.turn()
            assert is_tidy_of(self.subject.path)
        self.here = 1 - self.here
        assert self.look() == self.seen[self.here]
        return switched, code == -signal.SIGKILL


def is_tidy_of(path):
    target = changeable(path)
    if isinstance(target, Target) and not isinstance(target, PlainTarget):
        return is_tidy(path)
    return not target.leftovers() and not target.journal.exists()


CASES = [(Patches, "own"), (Patches, "plain"), (Remedies, "own"), (Back, "own"), (Back, "plain"), (Remedies, "plain")]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0].__name__}-{case[1]}")
def seesaw(request, world, plain):
    kind, whose = request.param
    path = world.path if whose == "own" else plain
    if kind is Back and whose == "plain":
        patches.apply(path)
    return Seesaw(kind(path))


@pytest.mark.usefixtures("world")
def test_killed_at_random_moments(seesaw):
    killed = 0
    for number in range(KILLS):
        _, by_us = seesaw.killed(seconds=seesaw.seconds * (number + random.random()) / KILLS)
        killed += by_us
    assert killed


POINTS = {
    "before the history is written": (changing, "write_entries", die, False),
    "after the history is written": (changing, "write_entries", after(changing.write_entries), False),
    "when all is made": (changing, "put_in_force", die, False),
}


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_certain_moments(seesaw, point):
    where, name, dying, expected = POINTS[point]
    target = seesaw.subject
    if isinstance(target, Back) and name == "put_in_force":
        pytest.skip("what is put back is made already")
    assert seesaw.killed(lambda: setattr(where, name, dying)) == (expected, True)


@pytest.mark.parametrize("name", ["begin_from_old", "take_over", "commit"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_while_it_is_made(world, name, moment):
    seesaw = Seesaw(Patches(world.path))
    dying = die if moment == "before" else after(getattr(NewGeneration, name))
    switched, killed = seesaw.killed(lambda: setattr(NewGeneration, name, dying))
    assert killed
    assert switched is ((name, moment) == ("commit", "after"))


class TestWhereDirectoriesCannotChangePlaces:
    """File systems such as NFS: two renames, and the next change ends what was begun."""

    @pytest.fixture(autouse=True)
    def no_exchange(self, monkeypatch):
        monkeypatch.setattr(plain_module, "exchange", lambda *_: False)

    def test_it_is_done_all_the_same(self, plain):
        seesaw = Seesaw(Patches(plain))
        assert seesaw.killed()[1] is False

    def test_killed_between_the_renames(self, plain):
        seesaw = Seesaw(Patches(plain))
        rename = type(plain).rename

        def first_only(path, to):
            rename(path, to)
            if path == plain:
                die()

        pid = fork(lambda: (setattr(type(plain), "rename", first_only), seesaw.subject.turn()))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        assert not plain.exists()
        assert changeable(plain).path == plain
        assert seesaw.look() == seesaw.seen[0]
