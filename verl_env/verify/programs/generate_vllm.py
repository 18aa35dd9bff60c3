"""vLLM's greedy answers against transformers.

usage: generate_vllm.py MODEL [GPUS]
"""

from __future__ import annotations

import sys

import judge_tokens
import vllm_engine
from answer import give


def main(model: str, gpus: int) -> None:
    """Generates and compares."""
    engine = vllm_engine.start(model, tensor_parallel_size=gpus)
    prompts, answers = vllm_engine.prompts_of(engine), vllm_engine.answers_of(engine)
    give(gpus=gpus, **judge_tokens.compare(model, prompts, answers))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)  # noqa: PLR2004
