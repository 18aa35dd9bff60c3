import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.cluster.deep.judge import judge
from verl_env.cluster.deep.steps import Steps
from verl_env.cluster.node.ring import MARK, peers


def heard(nodes, *steps):
    found = Steps(tuple(nodes))
    for rank, step, more in steps:
        found.take(f"{rank}: {MARK}{json.dumps({'rank': rank, 'step': step, **more})}".encode())
    return found


def whole(nodes):
    pairs = [(a, b) for a in range(len(nodes)) for b in range(len(nodes)) if a != b]
    steps = [(a, "paired", {"peer": b, "seconds": 0.01, "right": True}) for a, b in pairs]
    return [*steps, *((rank, "summed", {"seconds": 0.02, "right": True}) for rank in range(len(nodes)))]


@given(st.integers(2, 40))
def test_everybody_meets_another_in_each_round_and_nobody_twice(world):
    met = {rank: peers(rank, world) for rank in range(world)}
    for rank, others in met.items():
        assert len(set(others)) == len(others)
        assert rank not in others
        assert all(rank in met[other] for other in others)


def test_all_pairs_of_few_nodes_meet():
    assert all(sorted(peers(rank, 8)) == [other for other in range(8) if other != rank] for rank in range(8))


def test_rounds_are_in_the_same_order_for_both_ends():
    """Who waits for whom has no circle: the rounds can be run one after another."""
    for world in range(2, 18):
        waiting = {rank: peers(rank, world) for rank in range(world)}
        while any(waiting.values()):
            ready = [rank for rank, left in waiting.items() if left and waiting[left[0]][:1] == [rank]]
            assert ready
            for rank in ready:
                waiting[rank] = waiting[rank][1:]


def test_all_well():
    verdict = judge(heard("abc", *whole("abc")), "gloo")
    assert verdict.ok
    assert verdict.figures["pair_median_gb_per_s"] > 3


def test_of_a_pair_that_hangs_both_are_named_once_and_others_are_not_blamed():
    steps = [(0, "pair", {"peer": 1}), (1, "pair", {"peer": 0}), (2, "pair", {"peer": 0}), (3, "sum", {})]
    errors = judge(heard("abcd", *steps), "gloo").errors
    assert errors == ("a and b: no exchange between them came to an end", "c,d: waited for them")


def test_who_falls_silent_between_exchanges_is_named_and_not_those_in_the_queue():
    steps = [(0, "pair", {"peer": 1}), (2, "pair", {"peer": 0}), (1, "paired", {"peer": 2, "seconds": 1})]
    errors = judge(heard("abc", *steps), "gloo").errors
    assert errors == ("b: it fell silent; a waited for its part", "a,c: waited for it")


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([], "its process never started"),
        ([(1, "started", {})], "its process started, and did not reach the first node"),
        ([(1, "joined", {})], "it joined the group, and exchanged nothing"),
    ],
)
def test_who_came_least_far_is_named_with_the_step(steps, words):
    others = [(rank, "sum", {}) for rank in (0, 2)]
    assert judge(heard("abc", *others, *steps), "gloo").errors == (f"b: {words}", "a,c: waited for it")


def test_a_rank_that_fails_is_named_with_its_last_words():
    found = heard("abc", (0, "met", {}), (1, "started", {}), (2, "met", {}))
    found.take(b"1: Traceback (most recent call last):")
    found.take(b"1: RuntimeError: No CUDA GPUs are available")
    found.take(b'1: verl-env-answer {"schema":1,"node":"b","failed":"died","why":"its task ended with code 1"}')
    blamed, waited = judge(found, "nccl").errors
    assert blamed.startswith("b: its process started, and did not reach the first node (its task ended with code 1);")
    assert blamed.endswith("it said: RuntimeError: No CUDA GPUs are available")
    assert waited == "a,c: waited for it"


def test_the_same_failure_everywhere_is_one_line():
    found = heard("abc")
    for rank, node in enumerate("abc"):
        found.take(b'%d: verl-env-answer {"schema":1,"node":"%s","failed":"died","why":"w"}' % (rank, node.encode()))
    assert found.over()
    assert judge(found, "nccl").errors == ("a,b,c: its process never started (w)",)


def test_a_slow_pair_is_named():
    steps = [(1, "paired", {"peer": 2, "seconds": 0.5, "right": True}), *whole("abc")]
    verdict = judge(heard("abc", *steps), "gloo")
    assert verdict.ok
    assert [text.startswith("b and c: ") for text in verdict.slow] == [True]


def test_wrong_data_is_an_error():
    steps = [*whole("ab"), (0, "summed", {"seconds": 1, "right": False})]
    assert judge(heard("ab", *steps), "gloo").errors == ("a has wrong data of all nodes",)
