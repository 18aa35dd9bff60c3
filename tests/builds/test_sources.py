import pytest

from tests.builds.facts import job
from verl_env.builds.model import Places
from verl_env.builds.sources import Origin, is_cached, origin_of

COMMIT = "3f601f7ac1c062c46502646ff04c535013bfca00"


@pytest.mark.parametrize(
    ("source", "origin", "fixed"),
    [
        ("sdist", Origin("sdist"), True),
        ("https://example.org/a_src_3.2.txz", Origin("archive", "https://example.org/a_src_3.2.txz"), True),
        ("git+https://example.org/a.git@v1.0", Origin("git", "https://example.org/a.git", "v1.0"), False),
        (f"git+https://example.org/a@{COMMIT}", Origin("git", "https://example.org/a", COMMIT), True),
        ("git+https://example.org/a@a84a248", Origin("git", "https://example.org/a", "a84a248"), True),
        ("git+https://example.org/a.git", Origin("git", "https://example.org/a.git"), False),
        ("git+ssh://git@example.org/a.git", Origin("git", "ssh://git@example.org/a.git"), False),
        ("git+ssh://git@example.org/a.git@dev", Origin("git", "ssh://git@example.org/a.git", "dev"), False),
    ],
)
def test_the_text_of_a_recipe(source, origin, fixed):
    assert origin_of(source) == origin
    assert origin.fixed is fixed


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("demo_ext-1.0.tar.gz", True),
        ("demo.ext-1.0.zip", True),
        ("Demo-Ext-1.0.tar.gz", True),
        ("demo_ext-1.0.1.tar.gz", False),
        ("demo_ext-1.0-py3-none-any.whl", False),
        ("other-1.0.tar.gz", False),
    ],
)
def test_a_wheelhouse_may_hold_sources(tmp_path, file, found):
    (tmp_path / file).write_text("")
    assert is_cached(job("demo-ext"), Places(tmp_path / "cache", tmp_path)) is found


def test_a_wheelhouse_may_hold_archives_under_their_own_names(tmp_path):
    made = job(source="https://example.org/get/src-3.2.txz?token=1")
    assert not is_cached(made, Places(tmp_path / "cache", tmp_path))
    (tmp_path / "src-3.2.txz").write_text("")
    assert is_cached(made, Places(tmp_path / "cache", tmp_path))
