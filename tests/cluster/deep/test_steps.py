import json

import pytest

from verl_env.cluster.deep import steps as module
from verl_env.cluster.deep.steps import Steps
from verl_env.cluster.node.ring import MARK

FAILED = b'0: verl-env-answer {"schema":1,"node":"a","failed":"died","why":"its task ended with code 1"}'


def step(rank, name, **more):
    return f"{rank}: {MARK}{json.dumps({'rank': rank, 'step': name, **more})}".encode()


def test_it_is_over_when_all_have_their_sum():
    found = Steps(("a", "b"))
    found.take(step(0, "summed", seconds=1, right=True))
    assert not found.over()
    found.take(step(1, "summed", seconds=1, right=True))
    assert found.over()


def test_after_a_failure_the_others_have_a_while(monkeypatch):
    found = Steps(("a", "b", "c"))
    found.take(FAILED)
    assert not found.over()
    monkeypatch.setattr(module, "_PATIENCE", -1)
    assert found.over()


def test_a_deadline_is_no_failure_as_those_that_wait_meet_it_too():
    found = Steps(("a", "b"))
    found.take(FAILED.replace(b"died", b"deadline"))
    assert (found.failed, found.late, found.over()) == ({}, {0}, False)
    found.take(step(1, "summed", seconds=1, right=True))
    assert found.over()


def test_of_two_times_of_a_pair_the_longer_counts():
    found = Steps(("a", "b"))
    found.take(step(0, "paired", peer=1, seconds=0.1, right=True))
    found.take(step(1, "paired", peer=0, seconds=0.3, right=True))
    assert found.pairs == {(0, 1): 0.3}


@pytest.mark.parametrize("line", [b"", b"0:  ", b"no label", b"0: verl-env-answer {broken", b"0: verl-env-answer x"])
def test_other_lines_do_not_matter(line):
    found = Steps(("a", "b"))
    found.take(line)
    assert (found.failed, found.last, found.pairs) == ({}, {}, {})


def test_of_other_words_the_last_are_kept():
    found = Steps(("a",))
    for number in range(10):
        found.take(b"0: line %d" % number)
    assert list(found.said[0]) == ["line 7", "line 8", "line 9"]
