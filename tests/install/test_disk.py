from types import SimpleNamespace

import pytest

from verl_env.environment.errors import DiskFullError
from verl_env.install import disk
from verl_env.machine.system.quota import Quota
from verl_env.plans.model import Cost

COST = Cost(download_bytes=40, disk_bytes=100, files=10)


@pytest.fixture
def room(monkeypatch, tmp_path):
    """File systems by first directory below the test's: their free bytes."""
    free = {"home": 1000, "scratch": 1000}

    def name(path):
        return path.relative_to(tmp_path).parts[0]

    monkeypatch.setattr(disk, "free_bytes", lambda path: free[name(path)])
    monkeypatch.setattr(disk, "free_files", lambda path: free.get(f"{name(path)} files"))
    monkeypatch.setattr(disk, "quotas", lambda path: free.get(f"{name(path)} quotas", ()))
    disk._quotas.cache_clear()
    monkeypatch.setattr(disk, "_device", name)
    for each in ("home", "scratch"):
        (tmp_path / each).mkdir()
    return free


def check(tmp_path, cache, *, linked, filled):
    directory = None if cache is None else tmp_path / cache
    if directory is not None:
        (directory / "wheels" if filled else directory).mkdir(parents=True, exist_ok=True)
    disk.check_room(tmp_path / "home" / "project", COST, cache=directory, cached=COST, linked=linked)


@pytest.mark.parametrize(
    ("cache", "linked", "filled", "needs"),
    [
        ("home/cache", True, False, {"home": 100}),
        ("home/cache", True, True, {"home": 0}),
        ("home/cache", False, False, {"home": 200}),
        ("home/cache", False, True, {"home": 100}),
        ("scratch/cache", False, False, {"home": 100, "scratch": 100}),
        ("scratch/cache", False, True, {"home": 100, "scratch": 0}),
        (None, False, False, {"home": 100}),
    ],
)
def test_what_is_needed_where(tmp_path, room, cache, linked, filled, needs):
    for place, need in needs.items():
        room.update({"home": 1000, "scratch": 1000, place: need})
        check(tmp_path, cache, linked=linked, filled=filled)
        if need:
            room[place] = need - 1
            with pytest.raises(DiskFullError) as caught:
                check(tmp_path, cache, linked=linked, filled=filled)
            assert (caught.value.need, caught.value.free) == (need, need - 1)
            assert caught.value.path.relative_to(tmp_path).parts[0] == place
            assert "free, and" in caught.value.message


@pytest.mark.parametrize(("cache", "linked", "need"), [("home/cache", False, 20), ("scratch/cache", False, 10)])
def test_files_are_counted_too(tmp_path, room, cache, linked, need):
    room["home files"] = need
    check(tmp_path, cache, linked=linked, filled=False)
    room["home files"] = need - 1
    with pytest.raises(DiskFullError) as caught:
        check(tmp_path, cache, linked=linked, filled=False)
    assert caught.value.files
    assert f"has {need - 1} files free, and about {need} are needed" in caught.value.message


@pytest.mark.parametrize(
    ("quota", "words"),
    [
        (Quota("the quota for user ada on /home", 99, None), "the quota for user ada on /home leaves 99 B, and"),
        (Quota("the quota for group lab on /home", None, 9), "the quota for group lab on /home leaves 9 files"),
    ],
)
def test_a_quota_counts_where_the_file_system_has_room(tmp_path, room, quota, words):
    room["home quotas"] = (Quota("roomier", 500, 500), quota)
    with pytest.raises(DiskFullError) as caught:
        check(tmp_path, None, linked=False, filled=False)
    assert words in caught.value.message
    room["home quotas"] = (Quota("roomy", 500, 500), Quota("no limit", None, None))
    disk._quotas.cache_clear()
    check(tmp_path, None, linked=False, filled=False)


def test_a_file_system_that_counts_no_inodes_has_no_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(disk.os, "statvfs", lambda _: SimpleNamespace(f_files=0, f_favail=0))
    assert disk.free_files(tmp_path) is None
    monkeypatch.setattr(disk.os, "statvfs", lambda _: SimpleNamespace(f_files=9, f_favail=4))
    assert disk.free_files(tmp_path) == 4


def test_free_is_what_an_ordinary_user_may_write(tmp_path, monkeypatch):
    asked = []

    def statvfs(path):
        asked.append(path)
        return SimpleNamespace(f_bavail=3, f_bfree=5, f_frsize=4096)

    monkeypatch.setattr(disk.os, "statvfs", statvfs)
    assert disk.free_bytes(tmp_path / "not" / "there") == 3 * 4096
    assert asked == [tmp_path]


def test_this_host_has_a_number(tmp_path):
    assert disk.free_bytes(tmp_path) >= 0
