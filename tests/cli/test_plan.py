"""``verl-env plan`` on the locksets that are shipped."""

import json

import pytest

from verl_env.cli.main import main

H100 = {
    "schema": 1,
    "host": {"os": "ubuntu", "os_version": "22.04", "arch": "x86_64", "glibc": "2.35", "wsl": False},
    "nvidia": {"driver": "550.54.15", "cuda": "12.4", "devices": [{"name": "H100", "compute_capability": "9.0"}]},
    "amd": None,
    "pythons": [{"version": "3.10.14", "path": "/opt/python3.10"}],
}
VLLM04 = "verl0.4-cu124-torch2.6-fa2.7.4/app.vllm.mcore0.12"
CONTRACT = {
    "schema", "stack", "lockset", "verl", "python", "arch", "accelerator", "steps", "packages", "native",
    "download_bytes", "disk_bytes", "env", "warnings", "refused",
}  # fmt: skip


@pytest.fixture
def plan(tmp_path, capsys):
    def run(*flags, **changes):
        file = tmp_path / "machine.json"
        file.write_text(json.dumps({**H100, **changes}))
        code = main(["plan", "--machine", str(file), *flags])
        return code, capsys.readouterr()

    return run


def test_the_json_holds_the_contract(plan):
    code, captured = plan("--stack", "vllm", "--lockset", VLLM04, "--json")
    data = json.loads(captured.out)
    assert code == 0
    assert captured.err == ""
    assert data.keys() >= CONTRACT
    assert (data["lockset"], data["verl"], data["python"]) == (VLLM04, "0.4.1", "3.10")
    assert data["interpreter"] == "/opt/python3.10"
    versions = {package["name"]: package["version"] for package in data["packages"]}
    assert versions["torch"] == "2.6.0"
    assert versions["vllm"] == "0.8.5.post1"
    assert all(package["hashes"] and package["source"] in {"index", "sdist"} for package in data["packages"])
    assert {"kind", "title"} <= data["steps"][0].keys()
    assert {native["name"] for native in data["native"]} >= {"flash-attn"}
    assert data["env"]["VLLM_WORKER_MULTIPROC_METHOD"] == "spawn"


def test_natives_of_megatron_only_for_megatron(plan):
    def natives(stack):
        return {
            native["name"]
            for native in json.loads(plan("--stack", stack, "--lockset", VLLM04, "--json")[1].out)["native"]
        }

    assert "transformer-engine" not in natives("vllm")
    assert "transformer-engine" in natives("vllm+megatron")


def test_both_engines_in_one_environment(plan):
    code, captured = plan("--stack", "vllm+sglang", "--verl", "0.4", "--json")
    versions = {package["name"]: package["version"] for package in json.loads(captured.out)["packages"]}
    assert code == 0
    assert (versions["vllm"], versions["sglang"]) == ("0.8.5.post1", "0.4.6.post5")


def test_text_says_what_and_why(plan):
    code, captured = plan("--stack", "vllm", "--lockset", VLLM04)
    assert code == 0
    assert VLLM04 in captured.out
    assert "torch 2.6.0" in captured.out
    assert "[1/" in captured.out


def test_nothing_fits(plan):
    code, captured = plan("--stack", "vllm", "--json", nvidia=None)
    data = json.loads(captured.out)
    assert code == 1
    assert data["lockset"] is None
    assert data["nearest"]["changes"]
    assert all(refused["failed"] for refused in data["refused"])
    assert {"requirement", "need", "have", "message"} <= data["refused"][0]["failed"][0].keys()


def test_nothing_fits_as_text_shows_the_two_ways_on(plan):
    code, captured = plan("--stack", "vllm", nvidia=None)
    assert code == 1
    assert "--gpu h100" in captured.out
    assert "verl-env probe -o" in captured.out


def test_explain_names_every_refused_lockset(plan):
    old = {**H100["nvidia"], "driver": "470.57.02"}
    _, captured = plan("--stack", "vllm", "--json", nvidia=old)
    refused = {entry["lockset"] for entry in json.loads(captured.out)["refused"]}
    code, captured = plan("--stack", "vllm", "--explain", nvidia=old)
    assert code == 1
    assert all(lockset in captured.out for lockset in refused)


def test_a_plan_with_an_old_driver_warns(plan):
    code, captured = plan(
        "--stack", "vllm", "--lockset", VLLM04, nvidia={**H100["nvidia"], "driver": "535.104.05", "cuda": "12.2"}
    )
    assert code == 0
    assert "minor-version compatibility" in captured.out
