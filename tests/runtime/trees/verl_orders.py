"""verl's own patching beside ours, whichever comes first, with verl's own way of updating.

``python verl_orders.py fp8|lora|moe WHAT [--patched] [--late]``: with ``--patched`` our hook is there from the start,
with ``--late`` we come after verl, as vLLM's plugin would; without both verl is alone. WHAT is kinds and layouts of
``fp8_layers.py`` with a slash between them, or a model of ``moe_models.py``.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

os.environ["VERL_DISABLE_TRITON_FP8"] = "1"

import harness


def late():
    if "--late" in sys.argv:
        import verl_env_runtime

        verl_env_runtime.install()


def verls(*names):
    """The first of verl's modules that this release has."""
    return importlib.import_module(next(name for name in names if importlib.util.find_spec(name)))


def fp8():
    """verl's patches, verl's quantization and verl's loading, on vLLM's layers."""
    import fp8_layers

    verl = verls("verl.utils.vllm.vllm_quant_utils", "verl.utils.vllm.vllm_fp8_utils")
    (getattr(verl, "apply_vllm_quant_patches", None) or verl.apply_vllm_fp8_patches)()
    late()
    fp8_layers.update = lambda model, new: verls_update(verl, model, new)
    sys.argv[1:3] = sys.argv[2].split("/")
    fp8_layers.main()


def verls_update(verl, model, new):
    """One weight update as verl's worker does it; from 0.9 on it stages the layers around it."""
    import torch

    import fp8_layers

    config = SimpleNamespace(
        quant_config=fp8_layers.fp8_config(), model_config=SimpleNamespace(dtype=torch.get_default_dtype())
    )
    runner = SimpleNamespace(model=model, vllm_config=config)
    prepare = getattr(verl, "prepare_quanted_weights_for_loading", None)
    state = prepare(model) if prepare else None
    verl.load_quanted_weights(new.items(), runner)
    if prepare:
        verl.process_quanted_weights_after_loading(model, state)


def lora():
    """verl's hijack with verl's request and with ours, through the manager that vLLM's workers use."""
    import verl_env_runtime.probes.lora as probe
    from verl_env_runtime import lora_request_from_tensors
    from vllm.lora.request import LoRARequest
    from vllm.lora.worker_manager import LRUCacheWorkerLoRAManager

    verl = verls("verl.utils.vllm", "verl.utils.vllm_utils")
    if "--unhijacked" not in sys.argv:
        verl.VLLMHijack.hijack()
    late()
    manager = probe.toy_manager(LRUCacheWorkerLoRAManager, model())
    tensors = probe.adapter()
    copies = {name: value.clone() for name, value in tensors.items()}
    with tempfile.TemporaryDirectory() as folder, probe._pageable():
        probe.write(Path(folder), tensors)
        disk = manager._load_adapter(LoRARequest(lora_name="disk", lora_int_id=1, lora_path=folder))
        theirs = manager._load_adapter(
            verl.TensorLoRARequest(
                lora_name="memory", lora_int_id=2, lora_path="x", peft_config=probe.PEFT, lora_tensors=copies
            )
        )
        ours = None
        if "--patched" in sys.argv or "--late" in sys.argv:
            request = lora_request_from_tensors("mine", 3, tensors, probe.PEFT)
            ours = manager._load_adapter(request)
    harness.answer(wrong=probe.difference(disk, theirs), wrong_ours=probe.difference(disk, ours) if ours else None)


def model():
    """What a manager reads of a model whose modules vLLM names otherwise than its checkpoint."""
    from types import SimpleNamespace

    from vllm.model_executor.models.utils import WeightsMapper

    return SimpleNamespace(hf_to_vllm_mapper=WeightsMapper(orig_to_new_prefix={"lm.": "language_model."}))


def moe():
    """verl's per-model function on a model that was built under ours, then a second load."""
    import moe_models

    verl = verls("verl.utils.vllm_utils", "verl.utils.vllm.patch")
    build = moe_models.build

    def built(folder):
        model = build(folder)
        verl.patch_vllm_moe_model_weight_loader(model)
        late()
        return model

    moe_models.build = built
    sys.argv[1] = sys.argv.pop(2)
    moe_models.main()


if __name__ == "__main__":
    harness.prepare_triton()
    {"fp8": fp8, "lora": lora, "moe": moe}[sys.argv[1]]()
