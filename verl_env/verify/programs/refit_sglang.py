"""New weights in a running SGLang engine, against the reference of these weights.

usage: refit_sglang.py MODEL NEXT
"""

from __future__ import annotations

import sys

import judge_tokens
import sglang_engine
from answer import give
from derive import weights_of


def main(model: str, following: str) -> None:
    """Loads three times, as verl does every step."""
    engine = sglang_engine.start(model)
    prompts = sglang_engine.prompts_of(model)
    before = sglang_engine.answers_of(engine, prompts)
    for directory in (following, model, following):
        weights = [(name, tensor.cuda()) for name, tensor in weights_of(directory).items()]
        engine.update_weights_from_tensor(weights)
    after = sglang_engine.answers_of(engine, prompts)
    engine.shutdown()
    moved = judge_tokens.moved(before, after)
    give(weights=len(weights), moved=moved, **judge_tokens.compare(following, prompts, after))


if __name__ == "__main__":
    main(*sys.argv[1:3])
