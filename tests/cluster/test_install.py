"""``cluster install``: what a node does, and the whole with programs that stand for Slurm's."""

import fcntl
import hashlib
import io
import json
import shutil
import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.bundle import bundles
from tests.cluster.packs import small_pack
from tests.cluster.stand_in import put_slurm
from verl_env.cli.main import main
from verl_env.cluster.node import stage

NODES = ["n01", "n02", "n03"]
pytestmark = pytest.mark.skipif(shutil.which("mksquashfs") is None, reason="needs squashfs-tools")
#: Gives each node a place of its own on this host, where ``@NODE@`` stands in the path; ``BAD`` cannot write its own.
TIMEOUT = """#!/bin/sh
for word; do last=$word; done
case $last in *@NODE@*)
    last=$(printf %s "$last" | sed "s/@NODE@/$SLURMD_NODENAME/g")
    exec "$REAL_TIMEOUT" "$1" "$2" "$3" "$4" "$5" "$6" "$7" "$last";;
esac
exec "$REAL_TIMEOUT" "$@"
"""
#: Carries to the nodes of ``LAB_NODES`` but the one that it fails for.
SBCAST = """
import os, shutil, sys
print(sys.argv[1:], file=open(os.environ["LAB_CANCELLED"] + ".sbcast", "a"))
for name in os.environ["LAB_NODES"].split(","):
    if name != os.environ.get("LAB_SBCAST_FAILS"):
        shutil.copy(sys.argv[-2], sys.argv[-1].replace("@NODE@", name))
"""


@pytest.fixture
def file(tmp_path):
    return small_pack(tmp_path, size=1000)


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    put_slurm(tmp_path, monkeypatch, NODES)
    monkeypatch.setenv("REAL_TIMEOUT", shutil.which("timeout"))
    for name, text in (("timeout", TIMEOUT), ("sbcast", f"#!{sys.executable} -S\n{SBCAST}")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755 | stat.S_IXUSR)
    srun = tmp_path / "srun"
    srun.write_text(
        srun.read_text().replace(
            '"stdin": subprocess.DEVNULL', '"input": fed if "--input=all" in argv else b""'
        ).replace("lock = threading.Lock()", "lock, fed = threading.Lock(), sys.stdin.buffer.read()")
    )  # fmt: skip
    return tmp_path


def install(capsys, file, to, *args):
    code = main(["cluster", "install", str(file), "--to", str(to), "--json", *args])
    return code, json.loads(capsys.readouterr().out)


def listed(folder):
    return [path.name for path in Path(folder).iterdir()]


def asked(file, to, **more):
    data = file.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return {
        "to": str(to), "digest": digest, "origin": digest, "size": len(data), "need": 1, "kind": "squashfs",
        **more,
    }  # fmt: skip


def test_all_nodes_get_it_by_one_broadcast_and_then_have_it(slurm, file, capsys):
    to = slurm / "@NODE@" / "env"
    code, said = install(capsys, file, to, "--nodes", "3")
    assert (code, said["ok"], said["installed"], said["way"]) == (0, True, NODES, ["sbcast"]), said
    assert [(slurm / name / "env/bin/demo").read_text() for name in NODES] == ["demo\n"] * 3
    assert [listed(slurm / name) for name in NODES] == [["env"]] * 3
    assert (slurm / "cancelled").read_text() == "7\n"
    code, said = install(capsys, file, to, "--nodes", "3")
    assert (code, said["installed"], said["present"], said["way"]) == (0, [], NODES, [])


def test_a_node_that_the_broadcast_missed_gets_it_through_srun(slurm, file, capsys, monkeypatch):
    monkeypatch.setenv("LAB_SBCAST_FAILS", "n02")
    code, said = install(capsys, file, slurm / "@NODE@" / "env", "--nodes", "3")
    assert (code, said["installed"], said["way"]) == (0, NODES, ["sbcast", "srun"]), said


def test_without_sbcast_one_srun_carries_it(slurm, file, capsys):
    (slurm / "sbcast").write_text(f"#!{sys.executable} -S\nraise SystemExit(1)\n")
    code, said = install(capsys, file, slurm / "@NODE@" / "env", "--nodes", "3")
    assert (code, said["installed"]) == (0, NODES), said


def test_in_part_of_a_job_nothing_is_broadcast_to_the_rest(slurm, file, capsys, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "5")
    monkeypatch.setenv("SLURM_JOB_NODELIST", "n[01-03]")
    code, said = install(capsys, file, slurm / "@NODE@" / "env", "--nodelist", "n[01-02]")
    assert (code, said["installed"], said["way"]) == (0, ["n01", "n02"], ["srun"]), said
    assert not (slurm / "n03").exists()


def test_dead_taken_and_unknown_nodes_are_named(slurm, file, capsys, monkeypatch):
    monkeypatch.setenv("LAB_DEAD", "n02")
    (slurm / "n03/env").mkdir(parents=True)
    (slurm / "n03/env/mine").write_text("")
    code, said = install(capsys, file, slurm / "@NODE@" / "env", "--nodelist", "n[01-04]", "--timeout", "30")
    assert (code, said["installed"]) == (1, ["n01"])
    reasons = {each["node"]: each["reason"] for each in said["failed"]}
    assert "Node failure" in reasons["n02"]
    assert "holds something that no pack was installed as" in reasons["n03"]
    assert reasons["n04"] == "Slurm knows no such node"
    assert (slurm / "n03/env/mine").exists()


def test_a_bundle_goes_to_every_node_and_is_installed_from_there(slurm, capsys):
    file = bundles.pack(bundles.write(slurm / "b"), slurm / "b.tar")
    to = slurm / "@NODE@" / "bundle"
    assert main(["cluster", "install", str(file), "--to", str(to), "--nodes", "3"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"on each: verl-env install --offline --wheelhouse {to}" in told
    assert main(["bundle", "--verify", str(slurm / "n02/bundle")]) == 0
    capsys.readouterr()
    code, said = install(capsys, file, to, "--nodes", "3")
    assert (code, said["present"]) == (0, NODES)


def test_a_bundle_that_is_not_as_it_was_made_stays_out(slurm, capsys):
    root = bundles.write(slurm / "b")
    (root / "wheels/a-1-py3-none-any.whl").write_bytes(b"x" * 300)
    code, said = install(capsys, bundles.pack(root, slurm / "b.tar"), slurm / "@NODE@" / "bundle", "--nodes", "3")
    assert code == 1
    assert {"a-1-py3-none-any.whl" in each["reason"] for each in said["failed"]} == {True}
    assert [listed(slurm / name) for name in NODES] == [[]] * 3


def test_a_tar_file_that_is_no_bundle_and_a_directory_are_refused(slurm, capsys):
    (slurm / "other").mkdir()
    (slurm / "other/file").write_text("")
    other = bundles.pack(slurm / "other", slurm / "other.tar")
    for file, wrong in ((other, (2, "bundle-invalid")), (slurm / "other", (1, "pack-invalid"))):
        code, said = install(capsys, file, slurm / "to", "--nodes", "3")
        assert (code, said["error"]["id"]) == wrong


def test_the_outcome_for_a_reader(slurm, file, capsys):
    (slurm / "n03").write_text("")
    assert main(["cluster", "install", str(file), "--to", str(slurm / "@NODE@/env"), "--nodes", "3"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "n03: " in out
    assert "2 of 3 nodes have" in out


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["FILE", "--to", "relative"], 2, "usage"),
        (["FILE", "--to", "/"], 2, "usage"),
        (["FILE", "--to", "/x/../y"], 2, "usage"),
        (["/no/such.squashfs", "--to", "/x/y", "--nodes", "2"], 1, "pack-invalid"),
        ([__file__, "--to", "/x/y", "--nodes", "2"], 1, "pack-invalid"),
        (["FILE", "--to", "/x/y"], 2, "no-nodes-named"),
        (["FILE", "--to", "/x/y", "--nodes", "0"], 2, "usage"),
        (["FILE", "--to", "/x/y", "--nodes", "2", "--timeout", "0"], 2, "usage"),
    ],
)
def test_wrong_input(slurm, file, capsys, words, code, error):
    assert main(["cluster", "install", "--json", *(str(file) if word == "FILE" else word for word in words)]) == code
    assert json.loads(capsys.readouterr().out)["error"]["id"] == error


def test_no_room_is_told_before_anything_is_carried(tmp_path, file):
    with pytest.raises(stage.NotHereError, match="free, and it takes"):
        stage.check(asked(file, tmp_path / "a/env", need=1 << 60))
    assert listed(tmp_path / "a") == []


def test_a_second_run_at_the_same_time_is_refused_and_touches_nothing(tmp_path, file):
    to = tmp_path / "a/env"
    stage.check(asked(file, to))
    pack = stage.beside(to, asked(file, to)["digest"])
    shutil.copy(file, pack)
    with pack.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for step in (stage.check, stage.finish):
            with pytest.raises(stage.NotHereError, match="another run"):
                step(asked(file, to))
    assert pack.exists()
    assert stage.finish(asked(file, to)) == "installed"


def test_what_a_killed_run_left_is_removed(tmp_path, file):
    to = tmp_path / "env"
    (tmp_path / ".env.0123.pack").write_text("")
    (tmp_path / ".env.new/bin").mkdir(parents=True)
    (tmp_path / "..env.new.77.part/bin").mkdir(parents=True)
    before = {name for name in listed(tmp_path) if "env" not in name}
    assert stage.check(asked(file, to)) == "ready"
    assert set(listed(tmp_path)) == before


def test_a_file_that_is_not_the_pack_is_not_put_in_place(tmp_path, file, monkeypatch):
    to = tmp_path / "env"
    wrong = file.read_bytes()[:-1] + b"x"
    stage.beside(to, asked(file, to)["digest"]).write_bytes(wrong)
    assert stage.finish(asked(file, to)) == "absent"
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(wrong)))
    assert stage.finish(asked(file, to, stdin=True)) == "absent"
    assert not to.exists()
    assert not list(tmp_path.glob(".env*"))
