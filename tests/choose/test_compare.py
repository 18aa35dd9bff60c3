from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.choose.compare import gfx_numbers, minor_release, reaches, release, release_matches
from verl_env.versions import capability, numbers


@pytest.mark.parametrize(
    ("have", "need", "answer"),
    [
        ("550.54.15", "550.54.15", True),
        ("550.54.14", "550.54.15", False),
        ("550.90", "550.54.15", True),
        ("580", "580.0.0", True),
        ("2.4", "2.17", False),
        ("abc", "2.17", None),
        ("2.17", "", None),
        ("2.17-0ubuntu", "2.17", None),
        ("5²0", "520", None),
    ],
)
def test_reaches(have, need, answer):
    assert reaches(have, need) is answer


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("9.0", (9, 0, "")),
        ("9.0a", (9, 0, "a")),
        ("10.0f", (10, 0, "f")),
        ("12.1", (12, 1, "")),
        ("9", None),
        ("9.0.0", None),
        ("a", None),
        ("", None),
        ("9.0aa", None),
    ],
)
def test_capability(text, parsed):
    assert capability(text) == parsed


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("gfx90a", (9, 0, 10)),
        ("gfx942", (9, 4, 2)),
        ("gfx950", (9, 5, 0)),
        ("gfx1100", (11, 0, 0)),
        ("gfx1151", (11, 5, 1)),
        ("gfx90a:sramecc+:xnack-", (9, 0, 10)),
        ("gfx9-4-generic", None),
        ("gfx", None),
        ("gfx9", None),
        ("", None),
    ],
)
def test_gfx_numbers(text, parsed):
    assert gfx_numbers(text) == parsed


def test_releases_in_order():
    ordered = [
        "main",
        "0.2.0.dev0",
        "0.2",
        "0.3.0",
        "0.3.0.post1",
        "0.3.0.post2",
        "0.4.1",
        "0.10.0",
        "1.0.0rc1",
        "1.0.0",
    ]
    keys = [release(text) for text in ordered]
    assert all(first < second for first, second in pairwise(keys))


@pytest.mark.parametrize(("first", "second"), [("0.4", "0.4.0"), ("v0.4.1", "0.4.1"), ("0", "0.0.0")])
def test_equal_releases(first, second):
    assert release(first) == release(second)


@pytest.mark.parametrize(
    ("have", "asked", "answer"),
    [
        ("0.4.1", "0.4", True),
        ("0.4.1", "0.4.1", True),
        ("0.4.1", "v0.4", True),
        ("0.40.0", "0.4", False),
        ("0.4.1", "0.4.10", False),
        ("0.4.1", "0.4.1.0", False),
        ("0.3.0.post1", "0.3.0", True),
        ("0.4.1", "", False),
    ],
)
def test_release_matches(have, asked, answer):
    assert release_matches(have, asked) is answer


@pytest.mark.parametrize(("version", "minor"), [("3.10.13", "3.10"), ("3.10", "3.10"), ("3", "3")])
def test_minor_release(version, minor):
    assert minor_release(version) == minor


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_text_raises(one, other):
    numbers(one)
    reaches(one, other)
    capability(one)
    gfx_numbers(one)
    release(one)
    release_matches(one, other)
    minor_release(one)


@given(st.lists(st.integers(0, 999), min_size=1, max_size=4), st.lists(st.integers(0, 999), min_size=1, max_size=4))
def test_reaches_is_an_order(one, other):
    left, right = ".".join(map(str, one)), ".".join(map(str, other))
    assert reaches(left, right) or reaches(right, left)
    assert reaches(left, left)
