from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version
from verl_env_runtime.versions import in_range, version_key

IN_ORDER = ["0.8.2.dev3+gabc", "0.8.2rc1", "0.8.2", "0.8.2.post1", "0.8.3", "0.10.0", "0.10.1.1", "0.11.0", "1.0.0"]


def test_the_order_is_that_of_pep_440():
    keys = [version_key(text) for text in IN_ORDER]
    assert keys == sorted(keys)
    assert all(left < right for left, right in itertools.pairwise(keys))


@pytest.mark.parametrize("local", ["0.8.2+cu118", "0.8.2+rocm630", "v0.8.2", " 0.8.2 "])
def test_what_does_not_count(local):
    assert version_key(local) == version_key("0.8.2")


@pytest.mark.parametrize("text", ["", "main", "0.8.2-", "0.8.x", "1.2.3.4.5"])
def test_what_is_no_version(text):
    assert version_key(text) is None
    assert not in_range(text, "0", "9")


numbers = st.integers(0, 40)
suffixes = st.sampled_from(["", ".post1", "rc1", ".dev5", "+cu128", ".post2+x"])
versions = st.builds(lambda a, b, c, s: f"{a}.{b}.{c}{s}", numbers, numbers, numbers, suffixes)


@given(versions, versions)
def test_as_packaging_orders_them(left, right):
    one, two = Version(Version(left).public), Version(Version(right).public)
    assert (version_key(left) < version_key(right)) == (one < two)
