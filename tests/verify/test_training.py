"""Training as options of verl, and what its output says."""

import pytest

from verl_env.verify.model import Training
from verl_env.verify.training import bounds_for, command, figures_of, options_for

FSDP = Training("fsdp", "vllm", 1)
LINE = (
    "\x1b[36m(TaskRunner pid=7)\x1b[0m step:{step} - actor/grad_norm:0.53 - actor/kl_loss:np.float64(0.002) - "
    "training/rollout_probs_diff_mean:1.8e-03 - training/rollout_actor_probs_pearson_corr:{corr} - "
    "critic/score/mean:0.1"
)


def test_the_figures_are_those_of_the_last_step():
    output = "\n".join(["noise step: none", LINE.format(step=1, corr="0.5"), LINE.format(step=2, corr="0.9997"), "end"])
    assert figures_of(output) == {
        "steps": 2,
        "grad_norm": 0.53,
        "kl_to_start": 0.002,
        "probs_difference": 0.0018,
        "probs_correlation": 0.9997,
        "score": 0.1,
    }


@pytest.mark.parametrize("word", ["nan", "inf"])
def test_what_is_no_number_was_not_measured(word):
    assert "probs_correlation" not in figures_of(LINE.format(step=1, corr=word))


def test_output_without_steps_has_none():
    assert figures_of("Traceback (most recent call last):") == {"steps": 0}


@pytest.mark.parametrize(
    ("verl", "has", "lacks"),
    [
        ("0.3.0.post1", "+trainer.val_before_train=False", "actor_rollout_ref.rollout.calculate_log_probs=True"),
        ("0.4.1", "actor_rollout_ref.rollout.calculate_log_probs=True", "data.dataloader_num_workers=0"),
        ("0.9.1", "data.dataloader_num_workers=0", "+trainer.val_before_train=False"),
        (
            "0.8.0",
            "custom_reward_function.path={programs}/reward.py",
            "reward.custom_reward_function.path={programs}/reward.py",
        ),
        (
            "0.9.0",
            "reward.custom_reward_function.path={programs}/reward.py",
            "custom_reward_function.path={programs}/reward.py",
        ),
    ],
)
def test_options_follow_the_release(verl, has, lacks):
    options = options_for(FSDP, {"verl": verl, "flash-attn": "2.8.3"})
    assert has in options
    assert lacks not in options


def test_without_flash_attn_other_attention_is_asked_for():
    with_it = options_for(FSDP, {"verl": "0.9.1", "flash-attn": "2.8.3"})
    without = options_for(FSDP, {"verl": "0.9.1"})
    assert set(without) - set(with_it) == {
        "+actor_rollout_ref.model.override_config.attn_implementation=sdpa",
        "actor_rollout_ref.model.use_remove_padding=False",
    }


def test_megatron_has_a_configuration_of_its_own():
    words = command(Training("megatron", "sglang", 2), {"verl": "0.9.1", "flash-attn": "2.8.3"})
    assert words[:3] == ["-m", "verl.trainer.main_ppo", "--config-name=ppo_megatron_trainer"]
    assert "actor_rollout_ref.rollout.name=sglang" in words
    assert "trainer.n_gpus_per_node=2" in words


@pytest.mark.parametrize(
    ("verl", "at_most", "at_least"),
    [
        ("0.3.0.post1", set(), {"grad_norm", "kl_to_start"}),
        ("0.5.0", {"probs_difference"}, {"grad_norm", "kl_to_start"}),
        ("0.9.1", {"probs_difference"}, {"grad_norm", "kl_to_start", "probs_correlation"}),
    ],
)
def test_what_a_release_prints_is_bound(verl, at_most, at_least):
    upper, lower = bounds_for(verl)
    assert (set(upper), set(lower)) == (at_most, at_least)
