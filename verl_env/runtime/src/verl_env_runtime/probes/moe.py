"""Does an expert weight still have its loader after vLLM has processed it?"""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING

from verl_env_runtime import hook

if TYPE_CHECKING:
    from typing import Any

    from verl_env_runtime.registry import Target


def probe(target: Target) -> str | None:
    """None where the loader survives; else what was seen."""
    import torch  # noqa: PLC0415

    cls, wrapped = hook.owner_and_method(target, import_module(target.module))
    if not hook.marked(wrapped):
        return f"{target.name} is not wrapped"
    method = _bare(cls)
    layer = torch.nn.Module()
    for name in ("w13_weight", "w2_weight"):
        weight = torch.nn.Parameter(torch.zeros(2, 4, 4), requires_grad=False)
        weight.weight_loader = name  # type: ignore[attr-defined, unused-ignore]
        layer.register_parameter(name, weight)
    wrapped(method, layer)
    hook.resolve("moe:wrap")(_process)(method, layer)  # what vLLM does on the backends that replace the weights
    lost = [name for name, weight in layer.named_parameters() if getattr(weight, "weight_loader", None) != name]
    return f"{', '.join(lost)} lost the loader" if lost else None


def probe_layout(target: Target) -> str | None:
    """None where plain loads reach a layer whose gate and up the kernels have exchanged, also when processed twice."""
    import torch  # noqa: PLC0415

    if not hook.marked(hook.owner_and_method(target, import_module(target.module))[1]):
        return f"{target.name} is not wrapped"
    process = hook.resolve("moe:wrap_layout")(_exchange)
    method, layer, fresh = SimpleNamespace(), _experts(1.0), _experts(2.0)
    for made in (layer, fresh):
        process(method, made)
    place = layer.w13_weight.data_ptr()
    _load_experts(layer, 2.0)
    process(method, layer)
    if layer.w13_weight.data_ptr() != place:
        return "the second load moved the weights in memory"
    same = torch.equal(layer.w13_weight, fresh.w13_weight)
    return None if same else "the second load differs from a fresh layer's"


def _experts(value: float) -> Any:
    """A layer of two experts whose loader writes gate and up, as vLLM's does."""
    import torch  # noqa: PLC0415

    layer: Any = torch.nn.Module()
    layer.w13_weight = torch.nn.Parameter(torch.zeros(2, 16, 4), requires_grad=False)
    layer.w13_weight.weight_loader = _load_expert
    _load_experts(layer, value)
    return layer


def _load_expert(param: Any, loaded_weight: Any, shard_id: str, expert_id: int) -> None:
    half = param.shape[1] // 2
    param.data[expert_id].narrow(0, half * (shard_id == "w3"), half).copy_(loaded_weight)


def _load_experts(layer: Any, value: float) -> None:
    import torch  # noqa: PLC0415

    for place, (shard, expert) in enumerate((shard, expert) for shard in ("w1", "w3") for expert in range(2)):
        layer.w13_weight.weight_loader(
            layer.w13_weight, torch.full((8, 4), value + place), shard_id=shard, expert_id=expert
        )


def _exchange(_method: Any, layer: Any) -> None:
    import torch  # noqa: PLC0415

    halves = layer.w13_weight.data.chunk(2, dim=1)
    layer.w13_weight = torch.nn.Parameter(torch.cat(halves[::-1], dim=1), requires_grad=False)


def probe_maps(target: Target) -> str | None:
    """None where a map of experts survives dummy weights, through vLLM's own loader."""
    import torch  # noqa: PLC0415

    cls, wrapped = hook.owner_and_method(target, import_module(target.module))
    if not hook.marked(wrapped):
        return f"{target.name} is not wrapped"
    layer = torch.nn.Module()
    layer.register_buffer("_expert_map", torch.tensor([-1, 0], dtype=torch.int32))
    wrapped(cls.__new__(cls), layer, None)
    hook.resolve("moe:wrap_dummy")(_zero)(None, layer, None)  # what vLLM does on ROCm
    found = layer._buffers["_expert_map"].tolist()  # noqa: SLF001
    return None if found == [-1, 0] else f"the map of experts became {found}"


def _zero(_loader: Any, layer: Any, _config: Any) -> None:
    for buffer in layer.buffers():
        buffer.zero_()


def _bare(cls: Any) -> Any:
    """A quantization method without its constructor, which would ask for a GPU and a configuration."""
    import torch  # noqa: PLC0415

    method = cls.__new__(cls)
    if isinstance(method, torch.nn.Module):
        torch.nn.Module.__init__(method)
    for name, value in _ATTRIBUTES.items():
        if not hasattr(method, name):
            setattr(method, name, value)
    return method


def _process(_method: Any, layer: Any) -> None:
    import torch  # noqa: PLC0415

    layer.w13_weight = torch.nn.Parameter(layer.w13_weight.data, requires_grad=False)


_ATTRIBUTES = {
    "moe": SimpleNamespace(has_bias=False, is_act_and_mul=True),
    "rocm_aiter_moe_enabled": False,
    "unquantized_backend": None,
    "kernel": None,
}
