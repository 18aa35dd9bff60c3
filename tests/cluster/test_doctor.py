"""``cluster doctor`` from its command line, with programs that stand for Slurm's; a node is a task on this host."""

import json
import re
import sys
import time

import pytest

from tests.cluster.stand_in import put_slurm
from verl_env.cli.main import main

NODES = ["n01", "n02", "n03"]


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    put_slurm(tmp_path, monkeypatch, NODES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    return tmp_path


def doctor(capsys, *args):
    code = main(["cluster", "doctor", "--json", *args])
    return code, json.loads(capsys.readouterr().out)


def test_equal_nodes_are_one_group(slurm, capsys):
    code, said = doctor(capsys, "--nodes", "3")
    assert (code, said["ok"], said["answered"], said["missing"]) == (0, True, 3, [])
    assert said["groups"][0]["nodes"] == NODES
    assert said["groups"][0]["aspects"]["glibc"]
    assert (slurm / "cancelled").read_text() == "7\n"


def test_a_dead_node_is_missing_though_srun_says_0(slurm, capsys, monkeypatch):
    monkeypatch.setenv("LAB_DEAD", "n02")
    code, said = doctor(capsys, "--nodes", "3")
    assert code == 1
    assert [each["node"] for each in said["missing"]] == ["n02"]
    assert "Node failure on n02" in said["missing"][0]["reason"]


def test_a_drained_node_is_told_with_its_reason(slurm, capsys, monkeypatch):
    monkeypatch.setenv("LAB_DOWN", "n03=drained|bad fan")
    code, said = doctor(capsys, "--nodelist", "n[01-04]")
    assert code == 1
    reasons = {each["node"]: each["reason"] for each in said["missing"]}
    assert reasons == {"n03": "Slurm has it as drained: bad fan", "n04": "Slurm knows no such node"}


def test_inside_of_a_job_its_nodes_are_asked_and_nothing_is_cancelled(slurm, capsys, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "5")
    monkeypatch.setenv("SLURM_JOB_NODELIST", "n[01-03]")
    code, said = doctor(capsys)
    assert (code, said["expected"]) == (0, NODES)
    assert not (slurm / "cancelled").exists()
    code, said = doctor(capsys, "--nodes", "4")
    assert (code, said["error"]["id"]) == (1, "job-too-small")


def test_what_the_queue_will_never_give_is_not_waited_for(slurm, capsys):
    started = time.monotonic()
    code, said = doctor(capsys, "--nodes", "9", "--wait", "300")
    assert (code, said["error"]["id"]) == (1, "allocation-refused")
    assert said["error"]["message"].endswith("--nodes=9: the job is PENDING: PartitionNodeLimit")
    assert (slurm / "cancelled").read_text() == "7\n"
    assert time.monotonic() - started < 60


def test_why_the_queue_gives_nothing_yet_is_told_before_the_wait_is_over(slurm, capsys, monkeypatch):
    monkeypatch.setenv("LAB_REASON", "Resources")
    assert main(["cluster", "doctor", "--nodes", "9", "--wait", "3"]) == 1
    before, _, after = capsys.readouterr().err.partition("\n")
    assert before == "Slurm gives no nodes yet: the job is PENDING: Resources; waiting up to 3 s"
    assert re.search(r"within \d+ s: the job is PENDING: Resources", " ".join(after.split()))
    assert (slurm / "cancelled").read_text() == "7\n"


def test_a_refusal_is_told_in_slurms_words(slurm, capsys, monkeypatch):
    monkeypatch.setenv("LAB_REFUSES", "Invalid account")
    code, said = doctor(capsys, "--nodes", "3")
    assert (code, said["error"]["id"]) == (1, "allocation-refused")
    assert "Invalid account" in said["error"]["message"]


def test_a_node_without_our_python_says_so(slurm, capsys, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/gone/python")
    code, said = doctor(capsys, "--nodes", "3")
    assert code == 1
    assert {each["node"]: "mount is missing" in each["reason"] for each in said["missing"]} == dict.fromkeys(
        NODES, True
    )


def test_an_environment_that_was_named_must_be_there(slurm, capsys):
    code, said = doctor(capsys, "--nodes", "3", "--into", "nowhere")
    assert code == 1
    assert {fault["id"] for fault in said["faults"]} == {"environment-missing"}


def test_a_directory_that_is_missing_everywhere_is_told(slurm, capsys):
    code, said = doctor(capsys, "--nodes", "3", "--directory", "/data/none")
    assert code == 1
    assert said["groups"][0]["aspects"]["mounts"]["/data/none"] == "missing"
    assert {(fault["id"], fault["title"]) for fault in said["faults"]} == {
        ("directory-missing", "/data/none is not there")
    }


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "neither nodes nor a Ray cluster"),
        (["--nodes", "0"], "no number of nodes"),
        (["--nodes", "2", "--wait", "0"], "above 0"),
        (["--ray", "auto", "--partition", "x"], "--partition is for Slurm"),
    ],
)
def test_wrong_use_is_told(slurm, capsys, args, words):
    code, said = doctor(capsys, *args)
    assert code == 2
    assert words in said["error"]["message"]


def test_without_slurm_that_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, said = doctor(capsys, "--nodes", "2")
    assert (code, said["error"]["id"]) == (2, "slurm-missing")


def test_it_is_told_in_words(slurm, capsys, monkeypatch):
    monkeypatch.setenv("LAB_DEAD", "n02")
    assert main(["cluster", "doctor", "--nodes", "3"]) == 1
    told = capsys.readouterr().out
    assert "n02: no answer" in told
    assert "2 of 3 nodes answered, all alike: they would not work together" in told


def test_what_our_scripts_see_to_is_told_in_a_users_own_job_alone(slurm, capsys, monkeypatch):
    ray = slurm / ".venv/lib/python3.10/site-packages/ray-2.47.1.dist-info"
    ray.mkdir(parents=True)
    (ray / "METADATA").write_text("Name: ray\nVersion: 2.47.1\n")
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "1")
    monkeypatch.setenv("SLURM_JOB_ID", "5")

    def told():
        _, said = doctor(capsys, "--nodes", "1")
        return "ray-worker-flood" in [finding["id"] for finding in said["groups"][0]["findings"]]

    assert not told()  # in an allocation of its own
    monkeypatch.setenv("SLURM_JOB_NODELIST", "n[01-03]")
    assert told()
    monkeypatch.setenv("VERL_ENV_JOB", "1")
    assert not told()
