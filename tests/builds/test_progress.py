import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.builds.progress import BuildSteps


@pytest.mark.parametrize(
    ("output", "done", "total"),
    [
        (b"", None, None),
        (b"[1/73] nvcc -c a.cu\n", 1, 73),
        (b"  [12/73] nvcc -c a.cu\n  warning: [3/4] is in a text\n", 12, 73),
        (b"[1/2] a\n[2/2] b\n[1/9] next extension\n", 1, 9),
        (b"[ 16%] Building CXX object a.o\n", 16, 100),
        (b"[100%] Built target a\n", 100, 100),
        (b"\r[5/9] redrawn\r[6/9] redrawn\n", 6, 9),
        (b"array[1/2] = 3\n", None, None),
        (b"[7/9] no end of line yet", None, None),
    ],
)
def test_steps_are_read_at_the_beginning_of_lines(output, done, total):
    steps = BuildSteps()
    steps.feed(output)
    assert (steps.done, steps.total) == (done, total)


@given(st.lists(st.integers(1, 60), max_size=30))
def test_pieces_may_be_cut_anywhere(cuts):
    output = b"".join(b"[%d/40] c++ part%d.o\nnoise\n" % (step, step) for step in range(1, 41))
    steps, start = BuildSteps(), 0
    for size in cuts:
        steps.feed(output[start : start + size])
        start += size
    steps.feed(output[start:])
    assert (steps.done, steps.total) == (40, 40)


def test_a_change_is_told_once():
    steps = BuildSteps()
    assert steps.feed(b"[1/2] a\n")
    assert not steps.feed(b"nothing new\n")
    assert steps.feed(b"[2/2] b\n")


def test_an_endless_line_takes_no_memory():
    steps = BuildSteps()
    for _ in range(100):
        steps.feed(b"x" * 10_000)
    assert len(steps._rest) < 100_000
    steps.feed(b"\n[1/2] a\n")
    assert steps.done == 1
