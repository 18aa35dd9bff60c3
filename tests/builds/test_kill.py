"""SIGKILL at any moment of an installation with a build: no half environment, and nothing half in the cache."""

import json
import os
import random
import signal
import time

import pytest

from tests.builds.worlds import answer
from tests.install.killing import after, die, fork, kill_after
from tests.rounds import rounds
from verl_env.builds import builder, cache
from verl_env.builds.cache import FILE, BuildCache, key_of

pytestmark = pytest.mark.slow

KILLS = rounds(2, 0.1)


class Shaft:
    """An installation of one built component, begun again and again from nothing."""

    def __init__(self, yard):
        self.yard = yard
        self.build = yard.sdist("demo-ext")
        self.number = 0

    def again(self):
        """A new target, and a build that is in no cache yet."""
        self.number += 1
        self.yard.path = self.yard.path.with_name(f"venv{self.number}")
        self.build = self.yard.build("demo-ext", env={"DEMO": str(self.number)}, sha256=self.build.recipe.sha256)

    def fork(self, before=lambda: None):
        def work():
            before()
            self.yard.install(self.build)

        return fork(work)

    def results(self):
        """The entries that a reader would see, by the number of the build; each is whole."""
        found = {}
        for record in self.yard.built.glob(f"demo-ext/[!.]*/{FILE}"):
            facts = json.loads(record.read_text())["facts"]
            assert record.parent.name == key_of(facts)
            assert BuildCache([self.yard.built]).take("demo-ext", facts) is not None
            found[facts["env"].get("DEMO", "0")] = record
        return found

    def after_a_kill(self):
        """Whole or not there; then the next run completes, and nothing half is left in the cache."""
        self.results()
        if self.yard.path.exists():
            assert answer(self.yard.site, "demo_ext") == 42
        self.yard.install(self.build)
        assert answer(self.yard.site, "demo_ext") == 42
        assert str(self.number) in self.results()
        left = [path.name for path in (self.yard.built / "demo-ext").iterdir() if path.suffix != ".lock"]
        assert set(left) == {record.parent.name for record in self.results().values()}


@pytest.fixture
def shaft(yard):
    return Shaft(yard)


def test_killed_at_random_moments(shaft):
    started = time.monotonic()
    shaft.yard.install(shaft.build)
    seconds = time.monotonic() - started
    killed = 0
    for number in range(KILLS):
        shaft.again()
        moment = seconds * (number + random.random()) / KILLS
        killed += kill_after(shaft.fork(), moment) == -signal.SIGKILL
        shaft.after_a_kill()
    assert killed >= KILLS // 2


POINTS = {
    "when it is built": (builder, "build_wheel", after(builder.build_wheel), False),
    "while it is put into the cache": (cache, "_write", die, False),
    "before it appears in the cache": (cache, "_write", after(cache._write), False),
    "when it is in the cache": (BuildCache, "put_wheel", after(BuildCache.put_wheel), True),
}


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_certain_moments(shaft, point):
    where, name, dying, kept = POINTS[point]
    pid = shaft.fork(lambda: setattr(where, name, dying))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert not shaft.yard.path.exists()
    assert (str(shaft.number) in shaft.results()) is kept
    shaft.after_a_kill()
    # The next build clears what the dead one had below TMPDIR; what is taken from the cache needs none.
    assert kept or not list(shaft.yard.tmp.iterdir())
