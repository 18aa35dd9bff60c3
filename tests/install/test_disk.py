from types import SimpleNamespace

import pytest

from verl_env.environment.errors import DiskFull
from verl_env.install import disk
from verl_env.install.model import Cost

COST = Cost(download_bytes=40, disk_bytes=100)


@pytest.fixture
def room(monkeypatch, tmp_path):
    """File systems by first directory below the test's: their free bytes."""
    free = {"home": 1000, "scratch": 1000}

    def name(path):
        return path.relative_to(tmp_path).parts[0]

    monkeypatch.setattr(disk, "free_bytes", lambda path: free[name(path)])
    monkeypatch.setattr(disk, "_device", name)
    for each in free:
        (tmp_path / each).mkdir()
    return free


def check(tmp_path, cache, *, linked, filled):
    directory = None if cache is None else tmp_path / cache
    if directory is not None:
        (directory / "wheels" if filled else directory).mkdir(parents=True, exist_ok=True)
    disk.check_room(tmp_path / "home" / "project", COST, cache=directory, cached_bytes=100, linked=linked)


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
        room.update(dict.fromkeys(room, 1000) | {place: need})
        check(tmp_path, cache, linked=linked, filled=filled)
        if need:
            room[place] = need - 1
            with pytest.raises(DiskFull) as caught:
                check(tmp_path, cache, linked=linked, filled=filled)
            assert (caught.value.need, caught.value.free) == (need, need - 1)
            assert caught.value.path.relative_to(tmp_path).parts[0] == place
            assert "free, and" in caught.value.message


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
