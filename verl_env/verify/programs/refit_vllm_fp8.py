"""New weights in a running vLLM engine with FP8 block quantization, against a fresh engine of these weights.

usage: refit_vllm_fp8.py MODEL NEXT WORK
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import judge_tokens
import vllm_engine
from answer import give
from derive import to_fp8


def load(worker: Any, directory: str) -> int:
    """In the worker: a refit, as a trainer does it with verl-env's runtime; the number of tensors."""
    from pathlib import Path  # noqa: PLC0415 (the function travels alone)

    from safetensors.torch import load_file  # noqa: PLC0415
    from verl_env_runtime import refit  # noqa: PLC0415

    weights = [pair for file in sorted(Path(directory).glob("*.safetensors")) for pair in load_file(file).items()]
    model = worker.model_runner.model
    with refit(model):
        model.load_weights((name, tensor.cuda()) for name, tensor in weights)
    return len(weights)


def main(model: str, following: str, work: str) -> None:
    """The third load of the running engine must be as good as the first of a fresh one."""
    name = Path(model).name
    first, second = to_fp8(model, f"{work}/{name}-fp8"), to_fp8(following, f"{work}/{name}-next-fp8")
    fresh = vllm_engine.answers_of(vllm_engine.start(second))
    engine = vllm_engine.start(first)
    before = vllm_engine.answers_of(engine)
    figures: dict[str, Any] = {"states": engine.collective_rpc(vllm_engine.patches)[0]}
    for directory in (second, first, second):
        figures["weights"] = engine.collective_rpc(load, args=(directory,))[0]
        engine.reset_prefix_cache()
    after = vllm_engine.answers_of(engine)
    figures["moved"] = judge_tokens.moved(before, after)
    give(**figures, **judge_tokens.compare_answers(fresh, after))


if __name__ == "__main__":
    main(*sys.argv[1:4])
