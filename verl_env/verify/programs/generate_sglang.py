"""SGLang's greedy answers against transformers.

usage: generate_sglang.py MODEL [GPUS]
"""

from __future__ import annotations

import sys

import judge_tokens
import sglang_engine
from answer import give


def main(model: str, gpus: int) -> None:
    """Generates and compares."""
    engine = sglang_engine.start(model, gpus)
    prompts = sglang_engine.prompts_of(model)
    answers = sglang_engine.answers_of(engine, prompts)
    engine.shutdown()
    give(gpus=gpus, **judge_tokens.compare(model, prompts, answers))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)  # noqa: PLR2004
