"""New weights in a running vLLM engine, against the reference of these weights.

usage: refit_vllm.py MODEL NEXT
"""

from __future__ import annotations

import sys
from typing import Any

import judge_tokens
import vllm_engine
from answer import give


def main(model: str, following: str) -> None:
    """Loads twice, as verl does every step: the second and third load must be as good as a fresh engine."""
    engine = vllm_engine.start(model)
    prompts = vllm_engine.prompts_of(engine)
    before = vllm_engine.answers_of(engine)
    figures: dict[str, Any] = {"states": engine.collective_rpc(vllm_engine.patches)[0]}
    for directory in (following, model, following):
        figures["weights"] = engine.collective_rpc(vllm_engine.load, args=(directory,))[0]
        engine.reset_prefix_cache()
    after = vllm_engine.answers_of(engine)
    figures["moved"] = judge_tokens.moved(before, after)
    give(**figures, **judge_tokens.compare(following, prompts, after))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
