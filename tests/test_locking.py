import errno
import os
import subprocess
import sys

import filelock
import pytest

from verl_env.locking import SUFFIX, StillHeldError, only_run

REFUSED = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.EIO, errno.EPERM, errno.EBADF)


@pytest.fixture(params=REFUSED, ids=errno.errorcode.get)
def refused(request, monkeypatch):
    """A file system that refuses flock."""
    from fcntl import LOCK_UN

    def flock(_, operation):
        if operation != LOCK_UN:
            raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr("fcntl.flock", flock)


def never():
    pytest.fail("there is nobody to wait for")


def test_without_flock_a_file_names_the_process(refused, tmp_path, recwarn):
    held = tmp_path / f"lock{SUFFIX}"
    with only_run(tmp_path / "lock", seconds=0, waiting=never):
        assert str(os.getpid()) in held.read_text()
    assert not held.exists()
    assert list(recwarn) == []


def test_without_flock_a_second_run_is_kept_out_and_told_of_the_file(refused, tmp_path):
    told = []
    with (
        only_run(tmp_path / "lock", seconds=0, waiting=never),
        pytest.raises(StillHeldError) as caught,
        only_run(tmp_path / "lock", seconds=0.3, waiting=lambda: told.append(1)),
    ):
        pytest.fail("two at once")
    assert told == [1]
    assert str(caught.value) == str(tmp_path / f"lock{SUFFIX}")


def test_without_flock_a_dead_run_is_no_obstacle(refused, tmp_path):
    code = "import os, sys, filelock; lock = filelock.SoftFileLock(sys.argv[1]); lock.acquire(); os._exit(9)"
    subprocess.run([sys.executable, "-c", code, tmp_path / f"lock{SUFFIX}"], check=False)
    assert (tmp_path / f"lock{SUFFIX}").exists()
    with only_run(tmp_path / "lock", seconds=10, waiting=lambda: None):
        pass


def test_with_flock_there_is_no_such_file(tmp_path):
    with only_run(tmp_path / "lock", seconds=0, waiting=never):
        assert not (tmp_path / f"lock{SUFFIX}").exists()
        with pytest.raises(filelock.Timeout):
            filelock.FileLock(tmp_path / "lock").acquire(timeout=0)


def test_a_lock_that_cannot_be_made_is_told_as_that(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError), only_run(tmp_path / "file" / "lock", seconds=0, waiting=never):
        pytest.fail("it cannot be held")
