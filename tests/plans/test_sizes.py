import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.locksets.model import Package
from verl_env.plans.sizes import cost
from verl_env.sizes import human


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (119_600_000, "120 MB"),
        (3_980_000_000, "3.98 GB"),
        (12_345_000_000, "12.35 GB"),
    ],
)
def test_sizes_in_words(size, text):
    assert human(size) == text


@given(st.integers(0, 10**15))
def test_every_size_has_a_unit(size):
    number, unit = human(size).split()
    scale = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}[unit]
    assert abs(float(number) * scale - size) <= scale / 2


sized = st.builds(
    lambda download, disk: Package("a", "1", (), download_bytes=download, disk_bytes=disk),
    st.none() | st.integers(0, 10**9),
    st.none() | st.integers(0, 10**9),
)


@given(st.lists(sized))
def test_a_cost_is_exact_only_where_every_size_is_stated(packages):
    total = cost(packages)
    assert total.exact == all(each.download_bytes is not None and each.disk_bytes is not None for each in packages)
    assert total.download_bytes == sum(each.download_bytes or 0 for each in packages)
    assert total.disk_bytes >= sum(each.disk_bytes or 0 for each in packages)
