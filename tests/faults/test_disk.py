"""A disk that is full at any write: the environment is as it was, the error says why, and the next run completes."""

import shutil
import subprocess

import pytest

from tests.faults.worlds import ENV, LONGEST, PROGRAM, World, run, seeded
from tests.install.environments import is_tidy
from tests.install.whole.test_kill import snapshot
from tests.rounds import rounds

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace makes system calls fail"),
]

#: System calls that fail, and how.
FAULTS = (
    ("write,pwrite64", "ENOSPC"),
    ("rename,renameat,renameat2", "EIO"),
    ("link,linkat", "EMLINK"),
    ("fsync,syncfs", "EIO"),
    ("mkdir,mkdirat", "EDQUOT"),
    ("flock", "ENOLCK"),
    ("symlink,symlinkat", "EROFS"),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("disk"))
    world.install("a")
    world.install("b")
    world.install("a")
    return world


def test_calls_that_fail_at_any_moment(world, tmp_path):
    random = seeded("disk")
    states = {}
    for state in ("b", "a"):
        world.install(state)
        states[state] = snapshot(world.into)
    for number in range(rounds(4, 0.35)):
        calls, error = FAULTS[number % len(FAULTS)]
        when = random.randint(1, 40)
        # Of verl-env itself: without -f, uv is not traced, whose own faults are not the question.
        argv = ["strace", "-o", tmp_path / "trace", "-e", f"trace={calls}", "-e"]
        argv += [f"inject={calls}:error={error}:when={when}", *PROGRAM, *map(str, world.words("b"))]
        done = subprocess.run(
            argv, env={**ENV, **world.env}, capture_output=True, text=True, timeout=LONGEST, check=False
        )
        assert "Traceback" not in done.stderr, (calls, error, when, done.stderr)
        assert snapshot(world.into) in states.values(), (calls, error, when)
        if done.returncode != 0:
            assert "error[" in done.stderr, (calls, error, when, done.stderr)
        run(*world.words("b"), env=world.env)
        assert snapshot(world.into) == states["b"]
        assert is_tidy(world.into)
        world.install("a")
