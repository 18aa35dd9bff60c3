"""A LoRA adapter from tensors in memory in a running vLLM engine, against transformers with the adapter merged.

usage: lora_vllm.py MODEL WORK
"""

from __future__ import annotations

import sys
from typing import Any

import judge_tokens
import vllm_engine
from answer import give
from derive import PEFT, RANK, adapter_for, merged


def add(worker: Any, tensors: dict[str, Any], config: dict[str, Any]) -> bool:
    """In the worker: gives it the adapter, as verl does after a step."""
    from verl_env_runtime import lora_request_from_tensors  # noqa: PLC0415 (the function travels alone)

    return bool(worker.add_lora(lora_request_from_tensors("adapter", 1, tensors, config)))


def main(model: str, work: str) -> None:
    """Generates without and with the adapter."""
    from vllm.lora.request import LoRARequest  # noqa: PLC0415

    adapter = adapter_for(model)
    reference = merged(model, adapter, f"{work}/merged")
    engine = vllm_engine.start(model, enable_lora=True, max_lora_rank=RANK)
    before = vllm_engine.answers_of(engine)
    states = engine.collective_rpc(vllm_engine.patches)[0]
    added = engine.collective_rpc(add, args=(adapter, PEFT))[0]
    after = vllm_engine.answers_of(engine, lora_request=LoRARequest("adapter", 1, "/in/memory"))
    figures = judge_tokens.compare(reference, vllm_engine.prompts_of(engine), after)
    give(states=states, added=int(added), moved=judge_tokens.moved(before, after), **figures)


if __name__ == "__main__":
    main(*sys.argv[1:3])
