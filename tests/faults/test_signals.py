"""Writers of an environment, told to end at any moment: what was there is there, or what should be; no mixture."""

import os
import signal
import subprocess
import time

import pytest

from tests.faults.worlds import LONGEST, PROGRAM, World, run, seeded
from tests.faults.writers import WRITERS
from tests.install.environments import is_tidy
from tests.install.whole.test_kill import snapshot
from tests.rounds import rounds
from verl_env.environment.state import read_state

pytestmark = pytest.mark.slow

#: What a user, a scheduler, a terminal and a power cut send; two in a row are an impatient user.
SIGNALS = {
    "kill": (signal.SIGKILL,),
    "ctrl-c": (signal.SIGINT,),
    "ctrl-c twice": (signal.SIGINT, signal.SIGINT),
    "term": (signal.SIGTERM,),
    "hangup": (signal.SIGHUP,),
    "term and ctrl-c": (signal.SIGTERM, signal.SIGINT),
}


class Seesaw:
    """An environment that goes from state to state by every writer in turn."""

    def __init__(self, tmp_path):
        self.world = World(tmp_path)
        self.seconds = {}
        self.world.install("a")
        self.steps = {
            "install": (self.world.words("b"), self.world.words("a")),
            "pip": (self.world.pip_words("install", "thing"), self.world.pip_words("uninstall", "thing", "helper")),
        }

    def look(self):
        state = read_state(self.world.into)
        return snapshot(self.world.into), sorted(extra.name for extra in state.extras)

    def turn(self, words, numbers, moment):
        """Runs a writer, which gets signals; its exit code and what it printed."""
        process = subprocess.Popen(
            [*PROGRAM, *map(str, words)],
            env={**os.environ, **self.world.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(moment)
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.05)
        out, err = process.communicate(timeout=LONGEST)
        return process.returncode, out + err


@pytest.fixture(scope="module")
def seesaw(tmp_path_factory):
    return Seesaw(tmp_path_factory.mktemp("signals"))


@pytest.mark.parametrize("writer", ["install", "pip"])
def test_no_mixture_and_no_leftovers(seesaw, writer):
    random = seeded(writer)
    there, back = seesaw.steps[writer]
    states = [seesaw.look()]
    started = time.monotonic()
    run(*there, env=seesaw.world.env)
    seconds = time.monotonic() - started
    states.append(seesaw.look())
    run(*back, env=seesaw.world.env)
    assert states[0] != states[1]
    assert seesaw.look() == states[0]
    now = 0
    for number in range(rounds(4, 0.5)):
        name = list(SIGNALS)[number % len(SIGNALS)]
        code, said = seesaw.turn((there, back)[now], SIGNALS[name], random.uniform(0, seconds))
        found = seesaw.look()
        assert found in states, f"a mixture after {name} ({code}): {said}"
        if code >= 0 and "Traceback" in said:  # Python's own start is over when ours begins
            assert "verl_env" not in said, said
        if name != "kill" and code >= 0 and code not in {0, 1}:
            assert is_tidy(seesaw.world.into), (
                f"left after {name}: {list(seesaw.world.into.with_name('.venv.d').iterdir())}"
            )
        if states.index(found) == now:
            run(*(there, back)[now], env=seesaw.world.env)
        now = 1 - now
        assert seesaw.look() == states[now]
        assert is_tidy(seesaw.world.into)
    if now:
        run(*back, env=seesaw.world.env)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("writers"))
    made.install("a")
    return made


@pytest.mark.parametrize("kind", WRITERS, ids=lambda kind: kind.__name__.lower())
def test_every_other_writer(kind, world, tmp_path, monkeypatch):
    random = seeded(kind.__name__)
    writer = kind(world, tmp_path, monkeypatch)
    writer.before()
    states = [writer.look()]
    seconds = writer.finish()
    states.append(writer.look())
    assert states[0] != states[1]
    for number in range(rounds(2, 0.3)):
        name = list(SIGNALS)[(number * 5) % len(SIGNALS)]
        writer.before()
        process = writer.start()
        time.sleep(random.uniform(0, seconds))
        for each in SIGNALS[name]:
            process.send_signal(each)
            time.sleep(0.05)
        out, err = process.communicate(timeout=LONGEST)
        assert writer.look() in states, f"a mixture after {name} ({process.returncode}): {out}{err}"
        assert "Traceback" not in err or "verl_env" not in err or process.returncode < 0, err
        if name != "kill" and process.returncode not in {0, 1} and process.returncode >= 0:
            assert writer.tidy(), f"left after {name}: {out}{err}"
        if writer.look() != states[1]:
            writer.finish()
        if not writer.tidy():  # what a killed one left goes with the next change
            writer.before()
            writer.finish()
        assert writer.look() == states[1]
        assert writer.tidy()
