import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.cluster.deep import Heard, judge
from verl_env.cluster.node.ring import MARK, peers


def heard(nodes, *steps):
    found = Heard(tuple(nodes))
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


def test_of_a_pair_that_hangs_both_are_named_once():
    steps = [(0, "pair", {"peer": 1}), (1, "pair", {"peer": 0}), (2, "paired", {"peer": 0, "seconds": 1})]
    errors = judge(heard("abc", *steps), "gloo").errors
    assert errors[0] == "a and b: no exchange came to an end"
    assert "c: it exchanged with others, and has no sum over all" in errors


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([], "never started"),
        ([(1, "started", {})], "did not reach the first node"),
        ([(1, "met", {})], "did not join the group"),
    ],
)
def test_how_far_a_silent_node_came_is_told(steps, words):
    errors = judge(heard("ab", (0, "summed", {"seconds": 1, "right": True}), *steps), "gloo").errors
    assert [error for error in errors if error.startswith("b: ") and words in error]


def test_a_slow_pair_is_named():
    steps = [(1, "paired", {"peer": 2, "seconds": 0.5, "right": True}), *whole("abc")]
    verdict = judge(heard("abc", *steps), "gloo")
    assert verdict.ok
    assert [text.startswith("b and c: ") for text in verdict.slow] == [True]


def test_wrong_data_is_an_error():
    steps = [*whole("ab"), (0, "summed", {"seconds": 1, "right": False})]
    assert judge(heard("ab", *steps), "gloo").errors == ("a has wrong data of all nodes",)
