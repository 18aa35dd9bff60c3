import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.cluster.answers import MARK, DamagedAnswerError, Pieces, answer_lines, unlabelled


def answer(node="n01", **more):
    return {"schema": 1, "node": node, **more}


def taken(pieces, lines):
    return [found for line in lines if (found := pieces.take(line)) is not None]


@given(st.text(), st.randoms())
def test_answers_of_several_nodes_come_out_whole_whatever_the_order(text, chance):
    data = [answer(f"n{number}", text=text * 40) for number in range(3)]
    lines = [line for each in data for line in answer_lines(each).encode().split(b"\n")]
    chance.shuffle(lines)
    assert sorted(taken(Pieces(), lines), key=str) == sorted(data, key=str)


def test_no_line_is_longer_than_srun_leaves_whole():
    noise = random.Random(0).randbytes(100_000).hex()
    lines = answer_lines(answer("n" * 250, text=noise)).splitlines()
    assert len(lines) > 100
    assert max(map(len, lines)) + len("100000: ") < 1024


def test_noise_before_the_mark_does_not_matter():
    line = answer_lines(answer()).strip().encode()
    assert Pieces().take(b"loading modules ... " + line) == answer()


def test_a_short_answer_may_stand_as_it_is():
    assert Pieces().take(f'{MARK}{{"schema":1,"node":"n01","failed":"died"}}'.encode()) == answer(failed="died")


def test_a_line_without_the_mark_is_none():
    assert Pieces().take(b"hello") is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (MARK + "n01 1/1", "broken"),
        (MARK + "n01 1/1 !!!!", "broken"),
        (MARK + "n01 1/1 AAAA", "not whole"),
        (MARK + '{"schema":1', "not whole"),
        (MARK + '{"schema":1}', "names no node"),
        (MARK + '{"schema":2,"node":"n01"}', "another release"),
    ],
)
def test_a_damaged_answer_says_what_is_wrong_with_it(line, reason):
    with pytest.raises(DamagedAnswerError, match=reason):
        Pieces().take(line.encode())


def test_an_answer_that_broke_off_is_known_to_have_begun():
    pieces = Pieces()
    first = answer_lines(answer(text=random.Random(0).randbytes(2000).hex())).strip().splitlines()[0]
    assert pieces.take(first.encode()) is None
    assert (pieces.begun("n01"), pieces.begun("n02")) == (True, False)


def test_labels_of_srun_are_taken_off():
    assert unlabelled(b"  12: text: more") == (12, b"text: more")
    assert unlabelled(b"text") == (None, b"text")
