"""A vLLM engine as the proofs use it: greedy answers with their log-probabilities, and a second load of weights."""

from __future__ import annotations

import os
from typing import Any

#: Functions are sent to the worker, which newer releases allow on request only.
os.environ.setdefault("VLLM_ALLOW_INSECURE_SERIALIZATION", "1")

from judge_tokens import NEW_TOKENS, PROMPTS
from vllm import LLM, SamplingParams


def start(model: str, **more: Any) -> Any:
    """An engine with compilation and CUDA graphs as they come."""
    return LLM(model=model, gpu_memory_utilization=0.3, max_model_len=512, seed=0, **more)


def prompts_of(engine: Any) -> list[list[int]]:
    """The token ids of the prompts."""
    tokenizer = engine.get_tokenizer()
    return [list(tokenizer(text).input_ids) for text in PROMPTS]


def answers_of(engine: Any, **more: Any) -> list[tuple[list[int], list[float]]]:
    """Greedy answers: token ids and their log-probabilities."""
    given = [{"prompt_token_ids": ids} for ids in prompts_of(engine)]
    asked = SamplingParams(temperature=0, max_tokens=NEW_TOKENS, logprobs=1, ignore_eos=True)
    found = []
    for request in engine.generate(given, asked, **more):
        out = request.outputs[0]
        ids = list(out.token_ids)
        found.append((ids, [out.logprobs[at][token].logprob for at, token in enumerate(ids)]))
    return found


def load(worker: Any, directory: str) -> int:
    """In the worker: gives the model the weights of a directory, as verl does after a step; their number."""
    from pathlib import Path  # noqa: PLC0415 (the function travels alone)

    from safetensors.torch import load_file  # noqa: PLC0415

    weights = [pair for file in sorted(Path(directory).glob("*.safetensors")) for pair in load_file(file).items()]
    worker.model_runner.model.load_weights((name, tensor.cuda()) for name, tensor in weights)
    return len(weights)


def patches(worker: Any) -> Any:
    """In the worker: the states of verl-env's patches there; None where the runtime is not installed."""
    del worker
    try:
        import verl_env_runtime  # noqa: PLC0415
    except ImportError:
        return None
    return verl_env_runtime.status()
