"""A process that is told to end, once and more often, at its work and while it tidies up."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

START = """
import os, sys, time
from verl_env.interrupts import shielded, unwind_on_signals
unwind_on_signals()
left = sys.argv[1]
def say(word):
    print(word, flush=True)
"""
WORK = """
try:
    open(left, "w").close()
    say("at work")
    time.sleep(30)
finally:
    say("tidying")
    time.sleep(0.5)
    os.unlink(left)
"""
SHIELDED = """
with shielded():
    open(left, "w").close()
    say("at work")
    time.sleep(0.5)
    os.unlink(left)
say("not left")
"""


def _heard():
    """Signals that whoever started the tests ignores, as nohup does, are heard."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Run:
    def __init__(self, tmp_path, code, *before):
        self.left = tmp_path / "left"
        argv = [*before, sys.executable, "-c", textwrap.dedent(START + code), self.left]
        self.process = subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_heard,  # noqa: PLW1509
        )

    def until(self, word):
        assert self.process.stdout.readline().strip() == word

    def send(self, number):
        os.kill(self.process.pid, number)

    def end(self):
        out, err = self.process.communicate(timeout=20)
        return out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_signal_unwinds(tmp_path, number):
    run = Run(tmp_path, WORK)
    run.until("at work")
    run.send(number)
    run.end()
    assert not run.left.exists()


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_does_not_stop_the_tidying(tmp_path, first):
    run = Run(tmp_path, WORK)
    run.until("at work")
    run.send(first)
    run.until("tidying")
    run.send(signal.SIGINT)
    _, err = run.end()
    assert "clearing away what was begun" in err
    assert not run.left.exists()


def test_a_third_ends_it_at_once(tmp_path):
    run = Run(tmp_path, WORK.replace("0.5", "30"))
    run.until("at work")
    run.send(signal.SIGINT)
    run.until("tidying")
    run.send(signal.SIGINT)
    while "clearing" not in (run.process.stderr.readline() or "clearing"):
        pass
    run.send(signal.SIGINT)
    run.end()
    assert run.process.returncode == -signal.SIGINT
    assert run.left.exists()


def test_a_shielded_section_is_ended_first(tmp_path):
    run = Run(tmp_path, SHIELDED)
    run.until("at work")
    run.send(signal.SIGTERM)
    out, _ = run.end()
    assert "not left" not in out
    assert not run.left.exists()


def test_what_nohup_ignores_stays_ignored(tmp_path):
    run = Run(tmp_path, WORK.replace("sleep(30)", "sleep(1)"), "nohup")
    run.until("at work")
    run.send(signal.SIGHUP)
    run.end()
    assert run.process.returncode == 0


DROPPED = """
class Finalized:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)
import signal
open(left, "w").close()
try:
    Finalized()
    time.sleep(30)
finally:
    os.unlink(left)
"""


def test_a_signal_that_comes_where_exceptions_are_dropped_unwinds_all_the_same(tmp_path):
    run = Run(tmp_path, DROPPED)
    _, err = run.end()
    assert not run.left.exists()
    assert run.process.returncode != 0
    assert "ignored" not in err
    assert "clearing away" not in err
