"""Whose files are taken out of a cache."""

import os
import pwd

import pytest

from verl_env.settings.owners import distrust

OTHER = 65534  # nobody, on every Linux
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


@pytest.fixture
def cache(tmp_path):
    root = tmp_path / "cache"
    (root / "name" / "key").mkdir(parents=True)
    (root / "name" / "key" / "x.whl").write_text("x")
    for path in (root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return root


def test_ones_own_are_taken(cache):
    assert distrust(cache / "name" / "key" / "x.whl", cache, trusted=()) is None
    assert distrust(cache / "name" / "key", cache, whole=True, trusted=()) is None
    assert distrust(cache, cache, trusted=()) is None


@pytest.mark.parametrize("name", ["", "name", "name/key", "name/key/x.whl"])
@pytest.mark.parametrize(("mode", "says"), [(0o002, "everyone"), (0o022, "everyone")])
def test_what_others_may_write_is_not(cache, name, mode, says):
    path = cache / name
    path.chmod(path.stat().st_mode | mode)
    assert says in distrust(cache / "name" / "key" / "x.whl", cache, trusted=())


def test_a_file_deep_in_a_result_counts(cache):
    deep = cache / "name" / "key" / "prefix" / "lib" / "a.so"
    deep.parent.mkdir(parents=True)
    deep.write_text("")
    deep.chmod(0o666)
    assert "a.so may be written by everyone" in distrust(cache / "name" / "key", cache, whole=True, trusted=())


def test_above_the_cache_everyone_may_write_only_what_keeps_each_users_own(cache):
    cache.parent.chmod(0o777)
    assert "may be written by everyone" in distrust(cache / "name", cache, trusted=())
    cache.parent.chmod(0o1777)
    assert distrust(cache / "name", cache, trusted=()) is None


@AS_ROOT
def test_another_owner_is_taken_where_the_configuration_says_so(cache, tmp_path, monkeypatch):
    path = cache / "name" / "key" / "x.whl"
    os.chown(path, OTHER, 0)
    name = pwd.getpwuid(OTHER).pw_name
    assert f'trusted = ["{name}"]' in distrust(path, cache, trusted=())
    assert distrust(path, cache, trusted=(name,)) is None
    config = tmp_path / "config.toml"
    config.write_text(f'trusted = ["{name}"]\n')
    monkeypatch.setenv("VERL_ENV_CONFIG", str(config))
    assert distrust(path, cache) is None


@AS_ROOT
def test_a_group_is_taken_where_the_configuration_says_so(cache):
    path = cache / "name" / "key" / "x.whl"
    os.chown(path, 0, 4)  # adm
    path.chmod(0o664)
    assert 'trusted = ["@adm"]' in distrust(path, cache, trusted=())
    assert distrust(path, cache, trusted=("@adm",)) is None


@AS_ROOT
def test_members_of_a_trusted_group_are_trusted(cache):
    path = cache / "name" / "key" / "x.whl"
    os.chown(path, pwd.getpwnam("www-data").pw_uid, 0)
    assert distrust(path, cache, trusted=()) is not None
    assert distrust(path, cache, trusted=("@www-data",)) is None


def test_what_is_not_there_is_not_taken(cache):
    assert "cannot be looked at" in distrust(cache / "name" / "gone", cache, trusted=())
