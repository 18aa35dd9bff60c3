"""An SGLang engine as the proofs use it: greedy answers with their log-probabilities."""

from __future__ import annotations

from typing import Any

import judge_tokens
import sglang
from transformers import AutoTokenizer


def start(model: str, gpus: int = 1) -> Any:
    """An engine with CUDA graphs as they come."""
    return sglang.Engine(
        model_path=model,
        mem_fraction_static=0.3,
        context_length=512,
        tp_size=gpus,
        random_seed=0,
        log_level="warning",
    )


def prompts_of(model: str) -> list[list[int]]:
    """The token ids of the prompts."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    return [list(tokenizer(text).input_ids) for text in judge_tokens.PROMPTS]


def answers_of(engine: Any, prompts: list[list[int]]) -> list[tuple[list[int], list[float]]]:
    """Greedy answers: token ids and their log-probabilities."""
    asked = {"temperature": 0, "max_new_tokens": judge_tokens.NEW_TOKENS, "ignore_eos": True}
    found = []
    for answer in engine.generate(input_ids=prompts, sampling_params=asked, return_logprob=True):
        pairs = [(entry[1], entry[0]) for entry in answer["meta_info"]["output_token_logprobs"]]
        found.append(([token for token, _ in pairs], [logprob for _, logprob in pairs]))
    return found
