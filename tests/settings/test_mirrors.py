"""Addresses under a table of mirrors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.settings.mirrors import both, mirrored

TABLE = {
    "https://github.com": "https://mirror.example/github",
    "https://github.com/org/special": "file:///srv/special",
    "https://download.example/whl": "http://proxy:8080",
}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://github.com/a/b.whl", "https://mirror.example/github/a/b.whl"),
        ("https://github.com", "https://mirror.example/github"),
        ("https://github.com/org/special/x-1%2Bcu12.whl", "file:///srv/special/x-1%2Bcu12.whl"),
        ("https://github.com/org/specialist/x.whl", "https://mirror.example/github/org/specialist/x.whl"),
        ("https://github.company.example/a", "https://github.company.example/a"),
        ("git+https://github.com/a/b.git@v1", "git+https://mirror.example/github/a/b.git@v1"),
        ("https://download.example/whl?x=1", "http://proxy:8080?x=1"),
        ("http://github.com/a", "http://github.com/a"),
    ],
)
def test_the_longest_prefix_wins(url, expected):
    assert mirrored(url, TABLE) == expected
    assert mirrored(url, dict(reversed(TABLE.items()))) == expected


@given(st.text(), st.dictionaries(st.text(min_size=1), st.text(), max_size=3))
def test_an_address_is_its_own_or_begins_as_a_mirror_says(url, table):
    found = mirrored(url, table)
    assert found == url or found.removeprefix("git+").startswith(tuple(table.values()))


def test_what_is_configured_counts(tmp_path, monkeypatch):
    file = tmp_path / "config.toml"
    file.write_text('[mirrors]\n"https://github.com/" = "http://127.0.0.1:1/"\n')
    monkeypatch.setenv("VERL_ENV_CONFIG", str(file))
    assert mirrored("https://github.com/x") == "http://127.0.0.1:1/x"


def test_both_addresses_are_named_only_where_there_are_two():
    assert both("https://a/x", "https://a/x") == "https://a/x"
    assert both("https://a/x", "https://b/x") == "https://b/x (mirror of https://a/x)"
