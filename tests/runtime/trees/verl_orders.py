"""verl's own patching beside ours, whichever comes first.

``python verl_orders.py fp8|lora|moe [--patched] [--late]``: with ``--patched`` our hook is there from the start, with
``--late`` we come after verl, as vLLM's plugin would.
"""

from __future__ import annotations

import sys

import harness


def late():
    if "--late" in sys.argv:
        import verl_env_runtime

        verl_env_runtime.install()


def fp8():
    """verl's patches and verl's way of loading, on vLLM's layer."""
    from verl.utils.vllm.vllm_fp8_utils import apply_vllm_fp8_patches

    import fp8_layers

    apply_vllm_fp8_patches()
    late()
    sys.argv[1:3] = ["linear", "plain"]
    sys.argv.append("--bare")
    fp8_layers.main()


def lora():
    """verl's hijack with verl's request, through the manager that vLLM's workers use."""
    import verl_env_runtime.probes.lora as probe
    from verl.utils.vllm.utils import TensorLoRARequest, VLLMHijack
    from vllm.lora.request import LoRARequest
    from vllm.lora.worker_manager import LRUCacheWorkerLoRAManager

    if "--unhijacked" not in sys.argv:
        VLLMHijack.hijack()
    late()
    import tempfile
    from pathlib import Path

    manager = probe.toy_manager(LRUCacheWorkerLoRAManager)
    tensors = probe.adapter()
    with tempfile.TemporaryDirectory() as folder, probe._pageable():
        probe.write(Path(folder), tensors)
        disk = manager._load_adapter(LoRARequest(lora_name="disk", lora_int_id=1, lora_path=folder))
        request = TensorLoRARequest(
            lora_name="memory", lora_int_id=1, lora_path="x", peft_config=probe.PEFT, lora_tensors=tensors
        )
        memory = manager._load_adapter(request)
    harness.answer(wrong=probe.difference(disk, memory))


def moe():
    """verl's per-model function on a model that was built under ours, then a second load."""
    from verl.utils.vllm_utils import patch_vllm_moe_model_weight_loader

    import moe_models

    build = moe_models.build

    def built(folder):
        model = build(folder)
        patch_vllm_moe_model_weight_loader(model)
        late()
        return model

    moe_models.build = built
    sys.argv[1] = "Qwen2Moe"
    moe_models.main()


if __name__ == "__main__":
    harness.prepare_triton()
    {"fp8": fp8, "lora": lora, "moe": moe}[sys.argv[1]]()
