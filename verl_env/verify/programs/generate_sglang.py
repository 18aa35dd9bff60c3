"""SGLang's greedy answers against transformers.

usage: generate_sglang.py MODEL [GPUS]
"""

from __future__ import annotations

import sys

import judge_tokens
import sglang
from answer import give
from transformers import AutoTokenizer


def main(model: str, gpus: int) -> None:
    """Generates and compares."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    prompts = [list(tokenizer(text).input_ids) for text in judge_tokens.PROMPTS]
    engine = sglang.Engine(
        model_path=model,
        mem_fraction_static=0.3,
        context_length=512,
        tp_size=gpus,
        random_seed=0,
        log_level="warning",
    )
    asked = {"temperature": 0, "max_new_tokens": judge_tokens.NEW_TOKENS, "ignore_eos": True}
    answers = []
    for answer in engine.generate(input_ids=prompts, sampling_params=asked, return_logprob=True):
        pairs = [(entry[1], entry[0]) for entry in answer["meta_info"]["output_token_logprobs"]]
        answers.append(([token for token, _ in pairs], [logprob for _, logprob in pairs]))
    engine.shutdown()
    give(gpus=gpus, **judge_tokens.compare(model, prompts, answers))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)  # noqa: PLR2004
