"""The lines of the child are read however far they came and however damaged they are."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from verl_env.machine.child import Abandoned, Completed, NotStarted, TimedOut
from verl_env.machine.nvidia.nvml_answer import parse_nvml, read_nvml

LINES: list[tuple[str, Any]] = [
    ("init", {"code": 0}),
    ("driver", "580.65.06"),
    ("nvml", "13.580.65.06"),
    ("cuda", 13000),
    ("device", {"index": 0, "name": "NVIDIA H200", "uuid": "GPU-1", "cc": "9.0", "memory": 1 << 37, "mig": True}),
    ("slice", {"index": 0, "name": "MIG 1g.18gb", "uuid": "MIG-1", "memory": 1 << 34}),
    ("count", 1),
    ("libcuda", {"cuda": 13010, "path": "/usr/lib/libcuda.so.580.65.06"}),
    ("cuInit", 802),
    ("end", None),
]
TEXT = "".join(json.dumps(line) + "\n" for line in LINES)


def test_the_lines_of_the_child() -> None:
    answer = parse_nvml(TEXT)
    assert answer.complete
    assert answer.library == "13.580.65.06"
    assert answer.libcuda == ("/usr/lib/libcuda.so.580.65.06", "13.1")
    assert answer.cuda_init == 802
    assert len(answer.reading.devices or ()) == 2


@given(st.integers(0, len(TEXT)))
def test_a_cut_anywhere_leaves_whole_lines(place: int) -> None:
    answer = parse_nvml(TEXT[:place].encode())
    assert answer.whole == (place >= TEXT.index('["end"') + len('["end", null]'))
    assert len(answer.reading.devices or ()) <= 2


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["index", "code", "text", "name", "cc", "memory", "mig", "fabric"]), inner, max_size=5
        )
    ),
    max_leaves=8,
)
kinds = st.sampled_from([kind for kind, _ in LINES]) | st.text(max_size=5)


@given(st.lists(st.tuples(kinds, values) | values, max_size=8), st.binary(max_size=10))
def test_no_answer_breaks_the_reader(lines: list[Any], tail: bytes) -> None:
    data = "\n".join(json.dumps(line) for line in lines).encode() + tail
    for reading in parse_nvml(data).reading.devices or ():
        assert reading.index is not None
        assert reading.index >= 0


@given(st.binary())
def test_no_bytes_break_the_reader(data: bytes) -> None:
    parse_nvml(data)


def test_outcomes() -> None:
    data = TEXT.encode()
    argv = ("python",)
    assert read_nvml(Completed(argv, 0, data, b"", 0.1)).complete
    assert read_nvml(Completed(argv, -6, b"", b"", 0.1)).signal == 6
    assert read_nvml(TimedOut(argv, data, b"", 4.5)).hung == 4.5
    abandoned = read_nvml(Abandoned(argv, 1, 4.6, data))
    assert (abandoned.hung, abandoned.killable, abandoned.reading.driver) == (4.6, False, "580.65.06")
    assert read_nvml(NotStarted(argv, "no memory")).code is None
