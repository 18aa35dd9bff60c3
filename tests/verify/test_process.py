"""Nothing of a part is left."""

import os
import sys
import time
import uuid

from verl_env.machine.process import Completed, TimedOut
from verl_env.verify.process import marked, run_marked

#: A program that leaves a daemon in a session of its own, as Ray does, and then ends or hangs.
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
os.wait()
time.sleep(float(sys.argv[1]))
"""


def test_a_daemon_ends_with_its_part():
    mark = uuid.uuid4().hex
    outcome = run_marked([sys.executable, "-c", DAEMON, "0"], os.environ, seconds=30, mark=mark)
    assert isinstance(outcome, Completed)
    assert marked(mark) == []


def test_a_part_that_hangs_ends_at_its_deadline_with_its_daemon():
    mark, begun = uuid.uuid4().hex, time.monotonic()
    outcome = run_marked([sys.executable, "-c", DAEMON, "600"], os.environ, seconds=2, mark=mark)
    assert isinstance(outcome, TimedOut)
    assert time.monotonic() - begun < 30
    assert marked(mark) == []


def test_others_are_left_alone():
    assert os.getpid() not in marked("")
