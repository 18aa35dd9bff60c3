"""Does an adapter from tensors equal the same adapter from files?"""

from __future__ import annotations

import contextlib
import inspect
import json
import tempfile
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from verl_env_runtime.lora import lora_request_from_tensors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from verl_env_runtime.registry import Target

_RANK, _WIDTH = 4, 16
PEFT = {"r": _RANK, "lora_alpha": 16, "target_modules": ["down_proj"], "bias": "none", "peft_type": "LORA"}


def probe(target: Target) -> str | None:
    """None where both ways give the same adapter and the caller's tensors are unchanged."""
    tensors = adapter()
    kept = {name: tensor.clone() for name, tensor in tensors.items()}
    manager = toy_manager(getattr(import_module(target.module), target.qualname.partition(".")[0]))
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), tensors)
        request = import_module("vllm.lora.request").LoRARequest
        with _pageable():
            disk = manager._load_adapter(request(lora_name="disk", lora_int_id=1, lora_path=folder))  # noqa: SLF001
            memory = manager._load_adapter(lora_request_from_tensors("memory", 1, tensors, PEFT))  # noqa: SLF001
    if any(not kept[name].equal(tensor) for name, tensor in tensors.items()):
        return "the caller's tensors were changed"
    return difference(disk, memory)


def probe_mapper(target: Target) -> str | None:
    """None where a mapper of vLLM's gives the same under its old name as under the new one."""
    mapper = import_module(target.module).WeightsMapper(orig_to_new_prefix={"model.": "language_model.model."})
    old, new = mapper.get_unstacked_mapper(), mapper.get_rename_mapper()
    return None if old.orig_to_new_prefix == new.orig_to_new_prefix else "get_unstacked_mapper gives another mapper"


def adapter() -> dict[str, Any]:
    """A LoRA of one layer, named as PEFT names it."""
    import torch  # noqa: PLC0415

    generator = torch.Generator().manual_seed(1)
    name = "base_model.model.model.layers.0.mlp.down_proj"
    return {
        f"{name}.lora_A.weight": torch.randn(_RANK, _WIDTH, generator=generator),
        f"{name}.lora_B.weight": torch.randn(_WIDTH, _RANK, generator=generator),
    }


def write(folder: Path, tensors: Mapping[str, Any]) -> None:
    """Writes an adapter as PEFT does."""
    import_module("safetensors.torch").save_file(dict(tensors), folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps(PEFT), encoding="utf-8")


def difference(disk: Any, memory: Any) -> str | None:
    """What of two loaded adapters is not the same, or None."""
    if sorted(disk.loras) != sorted(memory.loras) or disk.rank != memory.rank:
        return f"the adapters have other layers: {sorted(disk.loras)} and {sorted(memory.loras)}"
    for name, layer in disk.loras.items():
        other = memory.loras[name]
        if not (layer.lora_a.equal(other.lora_a) and layer.lora_b.equal(other.lora_b)):
            return f"{name} has other values from memory"
        if layer.scaling != other.scaling:
            return f"{name} has another scaling from memory"
    return None


def toy_manager(cls: Any, model: Any = None) -> Any:
    """A manager of vLLM without its constructor: what ``_load_adapter`` reads of it, for a model of one layer."""
    import torch  # noqa: PLC0415

    manager = cls.__new__(cls)
    manager.lora_config = _config(torch.float32)
    manager._lora_model_cls = _model_class()  # noqa: SLF001
    manager.vocab_size, manager.max_position_embeddings = 64, 64
    manager.embedding_modules = {}
    if "embedding_padding_modules" in inspect.signature(manager._lora_model_cls.from_lora_tensors).parameters:  # noqa: SLF001
        manager.embedding_padding_modules = []  # until vLLM 0.11
    manager.device = torch.device("cpu")
    manager._adapter_manager = _AdapterManager(  # noqa: SLF001
        supported_lora_modules=["down_proj"],
        packed_modules_mapping={},
        model=model if model is not None else SimpleNamespace(),
        moe_ep_load_spec=None,
    )
    return manager


class _AdapterManager(SimpleNamespace):
    """What holds the adapters in a worker; its checks of an adapter, of other names in each release, let it pass."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_validate_"):
            return lambda _lora: None
        raise AttributeError(name)


@contextlib.contextmanager
def _pageable() -> Iterator[None]:
    """Without a GPU there is no pinned memory, which vLLM asks for on platforms that it does not know."""
    import torch  # noqa: PLC0415

    pin = torch.Tensor.pin_memory
    if not torch.cuda.is_available():
        torch.Tensor.pin_memory = lambda self, *_: self  # type: ignore[method-assign, unused-ignore]
    try:
        yield
    finally:
        torch.Tensor.pin_memory = pin  # type: ignore[method-assign, unused-ignore]


def _config(dtype: Any) -> Any:
    config = import_module("vllm.config").LoRAConfig(max_lora_rank=8, max_loras=1)
    config.lora_dtype = dtype
    return config


def _model_class() -> Any:
    """The class of adapters: vLLM 0.13 moved it."""
    try:
        return import_module("vllm.lora.lora_model").LoRAModel
    except ImportError:
        return import_module("vllm.lora.models").LoRAModel
