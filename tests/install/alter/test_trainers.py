from pathlib import Path

import pytest

from verl_env.additions.environment import Opened
from verl_env.environment.state import State
from verl_env.environment.target import Target
from verl_env.install.alter import trainers
from verl_env.install.alter.trainers import starts_trainer, unhelped

LOCKSET = "verl0.9.1-cu130/uv.vllm"
SDPA = (
    "+actor_rollout_ref.model.override_config.attn_implementation=sdpa",
    "actor_rollout_ref.model.use_remove_padding=False",
)
TRAIN = ("python", "-m", "verl.trainer.main_ppo", "data.train_batch_size=16")


@pytest.mark.parametrize(
    "words",
    [
        TRAIN,
        ("python3", "-m", "verl.trainer.sft_trainer"),
        ("/x/.venv/bin/torchrun", "--nproc_per_node=8", "train.py"),
        ("python", "-m", "torch.distributed.run", "train.py"),
        ("ray", "job", "submit", "--", "python3", "-m", "verl.trainer.main_ppo"),
        ("python", "-m", "recipe.dapo.main_dapo"),
        ("bash", "-c", "python3 -m verl.trainer.main_ppo a=b"),
    ],
)
def test_what_starts_a_trainer(words):
    assert starts_trainer(words)


@pytest.mark.parametrize(
    "words",
    [
        ("python", "-c", "import verl"),
        ("vllm", "serve", "model"),
        ("python", "-m", "verl.model_merger", "merge"),
        ("ray", "status"),
        ("bash",),
        ("cat", "/nowhere/run.sh"),
    ],
)
def test_what_does_not(words):
    assert not starts_trainer(words)


def test_a_script_is_looked_into(tmp_path):
    script = tmp_path / "run_qwen.sh"
    script.write_text("set -x\npython3 -m verl.trainer.main_ppo \\\n  trainer.nnodes=1 $@\n")
    assert starts_trainer(("bash", str(script)))
    assert starts_trainer((str(script), "a"))
    script.write_text("echo hello\n")
    assert not starts_trainer(("bash", str(script)))


@pytest.fixture
def opened(tmp_path, monkeypatch):
    def make(left_out, there=()):
        state = State(str(tmp_path), LOCKSET, "vllm", "3.12", "d", None, left_out, ())
        monkeypatch.setattr("verl_env.environment.installed.installed", lambda _: dict.fromkeys(there))
        return Opened(Target(Path(tmp_path) / ".venv"), tmp_path, state, {})

    return make


def test_a_trainer_without_flash_attn_is_told_what_stops(opened):
    found = unhelped(opened({"flash-attn": "no"}), TRAIN)
    assert found.lines()[0] == "incomplete: without flash-attn verl's default attention stops"


def test_nothing_is_said_where_nothing_stops(opened):
    assert unhelped(opened({}), TRAIN) is None
    assert unhelped(opened({"flash-attn": "no"}), ("vllm", "serve", "m")) is None
    assert unhelped(opened({"flash-attn": "no"}, there=["flash-attn"]), TRAIN) is None
    assert unhelped(opened({"flash-attn": "no"}), (*TRAIN, *SDPA)) is None
    assert unhelped(opened({"flash-attn": "no"}), (*TRAIN, "+" + SDPA[0], SDPA[1])) is None


def test_half_of_the_options_do_not_help(opened):
    assert unhelped(opened({"flash-attn": "no"}), (*TRAIN, SDPA[0])) is not None


def test_an_environment_of_an_unknown_lockset_says_nothing(opened, monkeypatch):
    made = opened({"flash-attn": "no"})
    monkeypatch.setattr("verl_env.locksets.catalogue.load_catalogue", lambda: ())
    assert unhelped(made, TRAIN) is None
    assert trainers.TOLD
