"""``cluster install`` on a real Slurm of four nodes with a disk each: one small, one read-only, one that dies."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading

import pytest

from tests.cluster.lab import Lab, available, kill_when
from tests.cluster.packs import small_pack

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not available(), reason="needs root, Slurm and munge")]
PROGRAM = ["-c", "from verl_env.cli.main import run; run()"]
#: Stands for timeout on PATH, which starts the task of each node: one node says that it unpacks, and hangs.
HANG = """#!/bin/sh
case "$*" in *'"step": "finish"'*) [ "$SLURMD_NODENAME" = "$HANG" ] && touch "$TOLD" && exec sleep 600;; esac
exec "$REAL_TIMEOUT" "$@"
"""


def cluster(disks):
    return Lab(tempfile.mkdtemp(prefix="vl", dir="/tmp"), 4, disks={"": "size=64m", **disks})


@pytest.fixture
def file(tmp_path):
    return small_pack(tmp_path)


def install(lab, file, *args, env=None):
    argv = [sys.executable, *PROGRAM, "cluster", "install", str(file), "--to", f"{lab.local}/envs/verl", "--json"]
    done = subprocess.run(
        [*argv, *args], env={**lab.env, **(env or {})}, capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, json.loads(done.stdout)


def on_nodes(lab, command):
    """What a command prints on each node, where it ends well."""
    argv = ["srun", "-l", "-N4", "-w", "n[01-04]", "sh", "-c", command]
    done = subprocess.run(argv, env=lab.env, capture_output=True, text=True, check=False)
    return sorted(done.stdout.splitlines())


def test_every_node_has_it_and_a_second_run_does_nothing(file):
    with cluster({}) as lab:
        code, said = install(lab, file, "--nodes", "4")
        assert (code, said["ok"], said["installed"], said["way"]) == (0, True, lab.names, ["sbcast"])
        seen = on_nodes(lab, f"cat {lab.local}/envs/verl/bin/python; ls -A {lab.local}/envs | grep -v '^verl$'")
        assert seen == [f"{task}: demo" for task in range(4)]
        assert not any(lab.local.iterdir())
        code, said = install(lab, file, "--nodes", "4")
        assert (code, said["installed"], said["present"], said["way"]) == (0, [], lab.names, [])
        (file.parent / "other").mkdir()
        code, said = install(lab, small_pack(file.parent / "other", text="other\n"), "--nodes", "4")
        assert code == 1
        assert "there already and holds the pack" in said["failed"][0]["reason"]
        assert not lab.call("squeue", "-h")


def test_nodes_without_room_or_permission_are_named_and_the_others_have_it(file):
    with cluster({"n02": "size=1m", "n03": "size=64m,ro"}) as lab:
        code, said = install(lab, file, "--nodes", "4")
        assert (code, said["installed"], said["way"]) == (1, ["n01", "n04"], ["srun"])
        reasons = {each["node"]: each["reason"] for each in said["failed"]}
        assert set(reasons) == {"n02", "n03"}
        assert "free, and it takes" in reasons["n02"]
        assert "Read-only file system" in reasons["n03"]


def test_a_disk_that_fills_up_in_the_middle_leaves_nothing(tmp_path):
    # What a tar file will take is not known before.
    file = small_pack(tmp_path, kind="tar", size=4 << 20)
    with cluster({"n02": "size=6m"}) as lab:
        code, said = install(lab, file, "--nodes", "4")
        assert (code, said["installed"]) == (1, ["n01", "n03", "n04"])
        assert "No space left on device" in said["failed"][0]["reason"]
        assert on_nodes(lab, f'[ "$SLURMD_NODENAME" != n02 ] || ls -A {lab.local}/envs') == []


def test_a_node_that_dies_in_the_middle_has_nothing_and_the_next_run_mends_it(file, tmp_path):
    wrapper, told = tmp_path / "timeout", tmp_path / "told"
    wrapper.write_text(HANG)
    wrapper.chmod(0o755)
    env = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "REAL_TIMEOUT": shutil.which("timeout"),
        "HANG": "n03",
        "TOLD": str(told),
    }
    with cluster({}) as lab:
        killer = threading.Thread(target=kill_when, args=(lab, "n03", told))
        killer.start()
        code, said = install(lab, file, "--nodes", "4", "--timeout", "60", env=env)
        killer.join()
        assert (code, said["installed"]) == (1, ["n01", "n02", "n04"])
        assert [each["node"] for each in said["failed"]] == ["n03"]
        lab.revive("n03")
        code, said = install(lab, file, "--nodes", "4")
        assert (code, said["installed"], said["present"]) == (0, ["n03"], ["n01", "n02", "n04"])
