"""``verl-env plan`` on the locksets that are shipped."""

import json
import subprocess
import sys

import pytest

from verl_env.cli.main import main
from verl_env.locksets.catalogue import load_catalogue

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


H580 = {
    "nvidia": {"driver": "580.95.05", "devices": [{"name": "H100", "compute_capability": "9.0"}]},
    "toolchain": {"nvcc": None, "gcc": "12.2.0", "gxx": "12.2.0", "cmake": None, "ninja": None, "hipcc": None},
    "pythons": [{"version": "3.12.1", "path": "/opt/python3.12"}],
}


def test_the_lockset_of_the_first_days_is_still_the_answer(plan):
    data = json.loads(plan("--stack", "vllm", "--python", "3.10", "--json")[1].out)
    assert data["lockset"] == VLLM04
    assert {native["how"] for native in data["native"]} == {"prebuilt"}
    assert data["passed"] == []


def test_json_says_how_each_component_gets_in_and_why_no_other_way(plan):
    flags = ("--stack", "vllm+megatron", "--verl", "0.4", "--json")
    natives = {each["name"]: each for each in json.loads(plan(*flags, **H580)[1].out)["native"]}
    assert natives["flash-attn"]["how"] == "prebuilt"
    assert natives["flash-attn"]["source"] == natives["flash-attn"]["url"]
    assert natives["transformer-engine"]["how"] == "skip"
    assert "needs nvcc 12.x" in natives["transformer-engine"]["reason"]
    assert natives["transformer-engine"]["rejected"][0].keys() == {"what", "reason"}
    assert "is left out" in natives["transformer-engine"]["warnings"][0]


def test_an_nvcc_that_fits_builds(plan):
    flags = ("--stack", "vllm+megatron", "--verl", "0.4", "--json")
    toolchain = {**H580["toolchain"], "nvcc": "12.4.131", "cmake": "3.28.1", "ninja": "1.11.1"}
    natives = json.loads(plan(*flags, **{**H580, "toolchain": toolchain})[1].out)["native"]
    assert {each["name"] for each in natives if each["how"] == "build"} == {
        "transformer-engine",
        "apex",
        "megatron-core",
    }


def test_what_cannot_be_had_as_asked_is_an_error_with_every_way(plan):
    flags = ("--stack", "vllm+deepep", "--native", "prebuilt")
    code, captured = plan(*flags, "--json", **H580)
    error = json.loads(captured.out)["error"]
    assert (code, error["id"]) == (1, "native-unavailable")
    assert error["passed"][0]["missing"][0]["rejected"]
    code, captured = plan(*flags, "--explain", **H580)
    assert code == 1
    assert all(each["lockset"] in captured.out for each in error["passed"])
    assert "error[native-unavailable]" in captured.err


@pytest.mark.parametrize(
    "flags",
    [
        ("--stack", "vllm+megatron", "--native", "build"),
        ("--stack", "vllm", "--with", "deep-ep"),
        ("--stack", "vllm+deepep"),
        ("--stack", "vllm", "--native", "build"),
    ],
)
def test_components_that_cannot_be_had_refuse_every_lockset(plan, flags):
    toolchain = {**H580["toolchain"], "nvcc": None, "gcc": None, "gxx": None}
    code, captured = plan(*flags, "--json", **{**H580, "toolchain": toolchain})
    data = json.loads(captured.out)
    assert (code, data["schema"], data["stack"], data["lockset"]) == (1, 1, flags[1], None)
    refused = [each["lockset"] for each in data["refused"]]
    assert sorted(refused) == sorted(lockset.id for lockset in load_catalogue())
    lacking = {each["lockset"] for each in data["refused"] if each["failed"][0]["requirement"] == "native"}
    assert lacking == {each["lockset"] for each in data["error"]["passed"]}
    assert data["nearest"]["lockset"] in lacking
    assert data["nearest"]["changes"][0].startswith("a way to get ")


def test_explain_shows_every_way_that_does_not_fit(plan):
    code, captured = plan("--stack", "vllm+megatron", "--verl", "0.4", "--explain", **H580)
    assert code == 0
    assert "flash-attn 2.7.4.post1: published wheel" in captured.out
    assert "a build from sdist: needs nvcc 12.x" in captured.out
    assert "warning: transformer-engine 2.2.1 is left out" in captured.out


def test_what_was_passed_over_is_said(plan):
    code, captured = plan("--stack", "sglang+megatron", "--python", "3.12", "--explain", **H580)
    assert code == 0
    assert "comes first but is passed over" in captured.out
    assert "on Python 3.12 cannot be completed" in captured.out


def test_wishes_join_in(plan):
    flags = ("--stack", "vllm", "--verl", "0.4", "--with", "nonsuch-package>=1", "--with", "vllm>=0.8")
    code, captured = plan(*flags, "--json", **H580)
    assert (code, json.loads(captured.out)["extras"]) == (0, ["nonsuch-package>=1"])
    assert "besides   nonsuch-package>=1, under the pins of the lock" in plan(*flags, **H580)[1].out


def test_a_wish_that_no_lockset_meets_is_a_refusal(plan):
    code, captured = plan("--stack", "vllm", "--with", "vllm==0.0.1", "--json", **H580)
    data = json.loads(captured.out)
    assert (code, data["lockset"]) == (1, None)
    assert "with" in {failed["requirement"] for refused in data["refused"] for failed in refused["failed"]}
    assert "leave --with vllm==0.0.1 out" in " ".join(data["nearest"]["changes"])


@pytest.mark.parametrize(
    ("flags", "resolver", "versions"),
    [
        ((), False, False),
        (("--stack", "vllm+megatron", "--verl", "0.6"), True, False),
        (("--with", "torch>=2"), True, True),
    ],
)
def test_only_what_is_to_be_decided_is_imported(tmp_path, flags, resolver, versions):
    file = tmp_path / "machine.json"
    file.write_text(json.dumps({**H100, **H580}))
    argv = ["plan", "--stack", "vllm", "--machine", str(file), "--json", *flags]
    code = f"import sys; from verl_env.cli.main import main; main({argv!r}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert ("resolvelib" in loaded) is resolver
    assert ("packaging.requirements" in loaded) is versions
    assert "rich" not in loaded
    assert versions or not loaded & {"subprocess", "logging", "importlib.metadata"}
