"""Loads an adapter from tensors and from files through vLLM's manager and compares them; with and without a mapper.

``python lora_adapters.py [--patched]``.
"""

from __future__ import annotations

from types import SimpleNamespace

import harness


def mapped_model():
    """A model whose checkpoint names differ from vLLM's."""
    from vllm.model_executor.models.utils import WeightsMapper

    return SimpleNamespace(hf_to_vllm_mapper=WeightsMapper(orig_to_new_prefix={"model.": "language_model.model."}))


def main():
    harness.prepare_triton()
    import verl_env_runtime.probes.lora as probe
    from verl_env_runtime.registry import PATCHES

    target = next(patch for patch in PATCHES if patch.id == "lora-tensors").targets[0]
    plain = probe.toy_manager
    for case in ("plain", "mapper"):
        if case == "mapper":
            probe.toy_manager = lambda cls: plain(cls, mapped_model())
        try:
            wrong = probe.probe(target)
        except Exception as error:  # noqa: BLE001
            wrong = f"{type(error).__name__}: {error}"
        harness.answer(case=case, wrong=wrong)


if __name__ == "__main__":
    main()
