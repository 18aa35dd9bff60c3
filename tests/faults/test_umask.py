import os
import stat

import pytest

from tests.faults.worlds import World, run


@pytest.mark.slow
def test_nothing_is_writable_for_everyone(tmp_path):
    world = World(tmp_path)
    before = os.umask(0)
    try:
        world.install("a")
        world.pip("install", "thing")
        run("config", "--help", env=world.env)
    finally:
        os.umask(before)
    store = world.into.with_name(".venv.d")
    loose = [path for path in (*store.rglob("*"), store, *(tmp_path / "cache").rglob("*")) if _is_loose(path)]
    assert loose == []


def _is_loose(path):
    mode = path.lstat().st_mode
    of_uv = path.name.endswith(".lock") and "cache" in path.parts  # uv opens the locks of its cache to everyone
    return not stat.S_ISLNK(mode) and bool(mode & stat.S_IWOTH) and not of_uv
