"""Quotas as ``quota`` and ``lfs quota`` print them; no kernel of a test machine needs to have any."""

import os
import time

import pytest

from verl_env.machine.system import quota as module
from verl_env.machine.system.quota import FileSystem, Quota, mount_of, quotas, rows

NFS = FileSystem("/home", "nfs4", "filer.example.org:/export/home")
LUSTRE = FileSystem("/scratch", "lustre", "10.0.0.1@o2ib:/scratch")
TABLE = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /home rw - nfs4 filer.example.org:/export/home rw,vers=4.2
31 22 0:41 / /home/my\040data rw - tmpfs tmpfs rw
32 22 0:42 / /scratch rw shared:3 - lustre 10.0.0.1@o2ib:/scratch rw,flock
"""
#: quota --no-wrap --raw-grace, of the Linux DiskQuota tools; blocks of 1 KiB.
USER = """Disk quotas for user ada (uid 1000):
     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace
filer.example.org:/export/home 9000000* 8000000 10000000 1764500000  150000       0  200000       0
      /dev/sdb1     500       0       0       0      10       0       0       0
"""
#: lfs quota: a long name has a line of its own.
LFS = """Disk quotas for usr ada (uid 1000):
     Filesystem  kbytes   quota   limit   grace   files   quota   limit   grace
       /scratch 1048576  2097152 3145728       -  990000  1000000 1000000       -
uid 1000 is using default block quota setting
"""
LFS_LONG = """Disk quotas for prj 77 (pid 77):
     Filesystem  kbytes   quota   limit   grace   files   quota   limit   grace
       /scratch
                [104857600] 104857600 0 - 12* 10 11 6d23h
"""


def test_a_row_of_quota():
    assert list(rows(USER, NFS)) == [Quota("the quota for user ada on /home", 1_000_000 * 1024, 50_000)]


def test_rows_of_lustre():
    assert list(rows(LFS, LUSTRE)) == [Quota("the quota for usr ada on /scratch", 2 << 30, 10_000)]
    assert list(rows(LFS_LONG, LUSTRE)) == [Quota("the quota for prj 77 on /scratch", 0, 0)]


@pytest.mark.parametrize(
    "text", ["", "Disk quotas for user root (uid 0): none\n", "lfs: not a Lustre path\n", "/home\n"]
)
def test_no_row_is_no_limit(text):
    assert list(rows(text, NFS)) == []


def test_no_limit_is_none():
    (found,) = rows(USER, FileSystem("/data", "ext4", "/dev/sdb1"))
    assert (found.bytes, found.files) == (None, None)


@pytest.mark.parametrize(
    ("path", "place", "kind"),
    [
        ("/home/ada", "/home", "nfs4"),
        ("/homes", "/", "ext4"),
        ("/home/my data/x", "/home/my data", "tmpfs"),
        ("/scratch", "/scratch", "lustre"),
    ],
)
def test_the_file_system_of_a_path(path, place, kind):
    found = mount_of(path, TABLE)
    assert (found.place, found.kind) == (place, kind)
    assert mount_of(path, "") is None


def program(folder, name, text):
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_the_programs_are_asked_and_an_exit_code_of_1_is_an_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "mount_of", lambda _: NFS)
    env = program(tmp_path / "bin", "quota", f'[ "$3" = --user ] && cat <<X\n{USER}X\nexit 1')
    assert [found.files for found in quotas(tmp_path, env)] == [50_000]


def test_lustre_is_asked_for_user_group_and_project(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "mount_of", lambda _: LUSTRE)
    script = f'echo "$@" >> {tmp_path}/asked\ncase "$1" in project) echo "   77 P $3";; quota) cat <<X\n{LFS}X\n;; esac'
    env = program(tmp_path / "bin", "lfs", script)
    assert len(quotas(tmp_path, env)) == 3
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[0] == f"project -d {tmp_path}"
    assert sorted(line.split()[1] for line in asked[1:]) == ["-g", "-p", "-u"]
    assert all(line.endswith("/scratch") for line in asked[1:])


def test_a_server_that_does_not_answer_is_no_limit_and_no_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "mount_of", lambda _: NFS)
    monkeypatch.setattr(module, "SECONDS", 0.5)
    env = program(tmp_path / "bin", "quota", "trap '' TERM; sleep 60")
    started = time.monotonic()
    assert quotas(tmp_path, env) == ()
    assert time.monotonic() - started < 10


def test_without_the_programs_there_is_nothing(tmp_path):
    assert quotas(tmp_path, {"PATH": str(tmp_path)}) == ()
