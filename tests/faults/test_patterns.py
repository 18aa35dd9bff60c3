"""Every regular expression runs in bounded time on long runs of what it repeats."""

import math
import re
import signal
import time

import pytest

from tests.faults.patterns import attacks, patterns
from tests.rounds import ROUNDS
from verl_env.doctor.ingest.clean import clean

#: Characters of a text, and seconds of this process that a pattern may take for it: ten times what linear ones take.
SIZE = 20_000 if ROUNDS else 5_000
SECONDS = 0.25
#: What sees only text that was cleaned: short lines, no runs of blanks.
CLEANED = ("check ", "verl_env.doctor.checks", "verl_env.doctor.ingest")
UNCLEANED = ("verl_env.doctor.ingest.clean", "verl_env.doctor.ingest.report")


class TooLongError(Exception):
    pass


@pytest.fixture
def stop():
    """Ends a pattern that takes too long, which only a signal can."""

    def ring(*_):
        raise TooLongError

    before = signal.signal(signal.SIGVTALRM, ring)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


def seconds(pattern, methods, text, most=SECONDS):
    """The seconds of this process that a pattern takes for a text; endless where they are more than it may take."""
    started = time.process_time()
    signal.setitimer(signal.ITIMER_VIRTUAL, most)
    try:
        for method in sorted(methods & {"match", "fullmatch"}):
            getattr(pattern, method)(text)
        if methods - {"match", "fullmatch"}:
            for _ in pattern.finditer(text):
                pass
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)  # here: the signal may come as late as now
    except TooLongError:
        return math.inf
    return time.process_time() - started


def slowest(where, text, flags, methods):
    """The longest that a pattern takes for any of its texts, and the beginning of that text."""
    pattern, worst = re.compile(text, flags), (0.0, "")
    for attack in attacks(text, flags, SIZE):
        cleaned = where.startswith(CLEANED) and not where.startswith(UNCLEANED) and isinstance(attack, str)
        took = seconds(pattern, methods, attack, SECONDS / 4 if cleaned else SECONDS)  # to clean takes longer
        if took > SECONDS:
            took = seconds(pattern, methods, clean(attack) if cleaned else attack)
        worst = max(worst, (took, attack[:40]), key=lambda each: each[0])
    return worst


@pytest.mark.slow
def test_every_pattern_is_bounded(stop):
    every = patterns()
    assert len(every) > 500, "patterns are no longer found where they stand"
    late = [(where, text, worst) for where, text, *how in every if (worst := slowest(where, text, *how))[0] > SECONDS]
    assert late == []


@pytest.mark.parametrize("text", [r"^\s*x$", r"[a-z]*\.so", r"(?:a+)+b", r"x\s*(.*?)\s*$", r"(?:<a|a<)+>"])
def test_what_is_not_bounded_is_found(stop, text):
    assert slowest("here", text, re.MULTILINE, {"finditer"})[0] > SECONDS or SIZE < 20_000
    assert slowest("here", r"^[ \t]*x$", re.MULTILINE, {"finditer"})[0] < SECONDS
