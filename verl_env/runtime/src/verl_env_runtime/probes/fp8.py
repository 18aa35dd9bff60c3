"""Can an FP8 block-quantized layer be loaded, processed, and loaded again?"""

from __future__ import annotations

import functools
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING

from verl_env_runtime import hook
from verl_env_runtime.fp8.layout import record_of
from verl_env_runtime.fp8.refit import refit

if TYPE_CHECKING:
    from typing import Any

    from verl_env_runtime.registry import Target

_SIZE, _BLOCK = 256, 128


def probe(target: Target) -> str | None:
    """None where a second load gives what a first one would.

    The method is run with a toy in the place of vLLM's processing (kernels may need a GPU): one that drops class and
    loader and transposes the scale, as vLLM's does on a Hopper. That the wrapper is on vLLM's class is checked too.
    """
    module = import_module(target.module)
    method = hook.owner_and_method(target, module)[1]
    if not hook.marked(method):
        return f"{target.name} is not wrapped"
    toy = functools.partial(hook.resolve("fp8.wrap:wrap")(_process), _Method())
    layer, fresh = _layer(1.0), _layer(2.0)
    toy(layer)
    toy(fresh)
    scale = layer._parameters["weight_scale_inv"].data  # noqa: SLF001
    with refit(layer):
        for name, parameter in layer.named_parameters():
            _load(parameter, name, 2.0)
    return _difference(layer, fresh, scale)


def _difference(layer: Any, fresh: Any, scale: Any) -> str | None:
    import torch  # noqa: PLC0415

    if record_of(layer) is None:
        return "the layer has no record"
    for name, parameter in fresh.named_parameters():
        mine = layer._parameters.get(name)  # noqa: SLF001
        if mine is None or not torch.equal(mine.float(), parameter.float()):
            return f"{name} differs from a fresh layer's after the second load"
    now = layer._parameters["weight_scale_inv"].data  # noqa: SLF001
    return None if now.data_ptr() == scale.data_ptr() else "the second load moved the scale in memory"


class _Method:
    """What the wrapper asks of a quantization method."""

    block_quant = True
    quant_config = SimpleNamespace(is_checkpoint_fp8_serialized=True, weight_block_size=[_BLOCK, _BLOCK])


def _process(_method: Any, layer: Any) -> None:
    import torch  # noqa: PLC0415

    layer.weight = torch.nn.Parameter(layer.weight.data, requires_grad=False)
    scale = layer.weight_scale_inv.data.T.contiguous()
    layer.weight_scale_inv = torch.nn.Parameter(scale, requires_grad=False)


def _layer(value: float) -> Any:
    import torch  # noqa: PLC0415

    layer = torch.nn.Module()
    shapes = {"weight": (_SIZE, _SIZE), "weight_scale_inv": (_SIZE // _BLOCK, _SIZE // _BLOCK)}
    for name, shape in shapes.items():
        dtype = torch.float8_e4m3fn if name == "weight" else torch.float32
        parameter = torch.nn.Parameter(torch.zeros(shape).to(dtype), requires_grad=False)
        layer.register_parameter(name, parameter)
        _load(parameter, name, value)
    return layer


def _load(parameter: Any, name: str, value: float) -> None:
    import torch  # noqa: PLC0415

    ramp = torch.arange(parameter.numel(), dtype=torch.float32).reshape(parameter.shape)
    parameter.data.copy_((ramp % 7 if name == "weight" else ramp + 1) * value)
