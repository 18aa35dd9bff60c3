"""Every hint that plan gives is followed: through the real command line, on the locksets that are shipped."""

import itertools
import json
import re
import shlex

import pytest

from verl_env.cli import options
from verl_env.cli.main import main
from verl_env.locksets.catalogue import load_catalogue

pytestmark = pytest.mark.slow

#: A command in a message: behind a colon, to the end of its line.
COMMAND = re.compile(r"(?:^|: )(verl-env [a-z]+\b.*)$")
HOST = {"os": "ubuntu", "arch": "x86_64", "glibc": "2.35", "wsl": False}
MACHINES = {
    "no GPU": ("--gpu", "none"),
    "V100": ("--gpu", "v100:8", "--driver", "550.54.15"),
    "T4": ("--gpu", "t4", "--driver", "535.54.03"),
    "P100": ("--gpu", "p100", "--driver", "535.54.03"),
    "old driver": ("--gpu", "h100:8", "--driver", "470.1"),
    "R550": ("--gpu", "h100", "--driver", "550.54.15"),
    "R580": ("--gpu", "h200:8", "--driver", "580.95.05"),
    "B200 with R570": ("--gpu", "b200", "--driver", "570.124.06"),
    "mixed": ("--gpu", "a100:2,v100", "--driver", "535.54.03"),
    "GH200": ("--gpu", "gh200", "--driver", "580.95.05"),
    "MI300X": ("--gpu", "mi300x", "--rocm", "6.3.4"),
    "MI50": ("--gpu", "gfx906"),
    "old glibc": ("--gpu", "h100", "--driver", "580.95.05", "--glibc", "2.17"),
    "driver not stated": ("--gpu", "a100"),
}
WISHES = {
    "vllm": ("--stack", "vllm"),
    "sglang": ("--stack", "sglang"),
    "megatron": ("--stack", "vllm+megatron"),
    "megatron, no builds": ("--stack", "vllm+megatron", "--native", "prebuilt"),
    "no components": ("--stack", "vllm", "--native", "skip", "--with", "flash-attn"),
    "deepep": ("--stack", "sglang+deepep"),
    "both": ("--stack", "vllm,sglang"),
    "too much": ("--stack", "vllm+sglang+deepep", "--verl", "0.5"),
    "misspelt": ("--stack", "vlm"),
    "old Python": ("--stack", "vllm", "--python", "3.8"),
    "torch": ("--stack", "vllm", "--python", "3.12", "--with", "torch==2.9.1"),
    "flash-attn": ("--stack", "vllm", "--verl", "0.4", "--with", "flash-attn==2.8.3", "--with", "wandb"),
    "no such torch": ("--stack", "vllm", "--with", "torch >= 99, < 100"),
    "a release": ("--stack", "vllm", "--verl", "0.9"),
    "no release": ("--stack", "vllm", "--verl", "0.2"),
    "a lockset": ("--stack", "vllm", "--lockset", "uv.vllm"),
    "a lockset alone": ("--lockset", "app.sglang"),
    "no lockset": ("--stack", "vllm", "--lockset", "uv.vlm"),
    "lockset alone, misspelt": ("--lockset", "uv.vlm"),
    "several locksets": ("--stack", "sglang", "--lockset", "sglang"),
    "a lockset that is recorded": ("--stack", "vllm", "--lockset", "rocm702"),
    "an address": ("--stack", "vllm", "--with", "flash-attn @ https://host/flash_attn-2.8.3-cp312-cp312-linux_x86_64.whl"),
    "extras": ("--stack", "vllm", "--with", "flash-attn[foo]"),
    "no version": ("--stack", "vllm", "--with", "deepspeed>2,<1"),
}  # fmt: skip


@pytest.fixture
def plan(tmp_path, monkeypatch, capsys):
    node = {"schema": 1, "host": HOST, "nvidia": None, "amd": None, "pythons": [{"version": "3.12.3", "path": "/py"}]}
    file = tmp_path / "a node.json"
    file.write_text(json.dumps(node))
    (tmp_path / "node.json").write_text(json.dumps({**node, "nvidia": {"driver": "580.95.05", "devices": [
        {"name": "NVIDIA H100", "compute_capability": "9.0"}]}}))  # fmt: skip
    monkeypatch.setenv(options.MACHINE_VARIABLE, str(file))
    monkeypatch.chdir(tmp_path)

    def run(*words):
        code = main([*words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def hints(document):
    """The hints of a document of plan: of its error, of the refusal, and the command of the nearest."""
    if "error" in document:
        return (document["error"]["hint"] or "").splitlines()
    return [line for hint in document["hints"] for line in hint.splitlines()]


def commands(lines):
    for line in lines:
        found = COMMAND.search(line)
        if found is not None:
            words = shlex.split(found[1])
            assert words[0] == "verl-env", line
            yield line, words[1:]


def follow(plan, line, words, before):
    """Runs the command of a hint: something fits then, or, where nothing fits the machine, that error is gone."""
    if words[0] != "plan":
        from verl_env.cli.parser import build_parser

        build_parser([words[0]]).parse_args(words)
        return
    code, document = plan(*words)
    error = document.get("error", {}).get("id")
    if "--explain" in words or "node.json" in words:
        assert error != "usage", line
        return
    fits = code == 0 and document["lockset"] is not None
    assert fits or (before not in (None, "nothing-fits", "native-unavailable") and error != before), line


#: Every wish on four machines, and every machine with two wishes.
PAIRS = sorted(
    {*itertools.product(WISHES, ("no GPU", "V100", "R550", "GH200")), *itertools.product(("vllm", "sglang"), MACHINES)}
)
#: What can be had on no machine that flags describe: wishes that are wrong by themselves or contradict
#: each other, wheels that nobody publishes.
NOWHERE = {"an address", "extras", "megatron, no builds", "no components"}
RECORDED = {each.id for each in load_catalogue() if each.tier == "recorded"}


@pytest.mark.parametrize(("wish", "machine"), PAIRS, ids=[f"{wish} on {machine}" for wish, machine in PAIRS])
def test_every_hint_and_nearest_can_be_followed(plan, wish, machine):
    given = (*WISHES[wish], *MACHINES[machine])
    code, document = plan("plan", *given)
    if code == 0:
        return
    nearest = document.get("nearest")
    assert hints(document) or nearest, given
    for line, words in commands(hints(document)):
        follow(plan, line, words, document.get("error", {}).get("id"))
    if "error" in document and document["error"]["id"] != "nothing-fits":
        return
    if nearest["command"] is None:
        assert nearest["lockset"] in RECORDED or wish in NOWHERE, "only what no flag can change has no command"
        return
    code, document = plan(*shlex.split(nearest["command"])[1:])
    assert (code, document["lockset"]) == (0, nearest["lockset"]), nearest["command"]


def test_what_was_given_is_carried_on(plan):
    given = ("--stack", "vllm", "--python", "3.12", "--with", "wandb >= 0.1", "--gpu", "h100:8", "--driver", "470.1")
    command = plan("plan", *given)[1]["nearest"]["command"]
    assert command.startswith(
        "verl-env plan --stack vllm --python 3.12 --with 'wandb >= 0.1' --gpu h100:8 --driver 525"
    )
