"""The patches: what each mends, in which code, for which versions of vLLM. Evidence: docs/patches.md.

A patch wraps methods. Nothing here imports torch or vLLM; the functions that wrap are named and imported when used.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The newest vLLM whose sources were examined: below the second value.
KNOWN = ("0.8.1", "0.34")

_LAYERS = "vllm.model_executor.layers."


@dataclass(frozen=True)
class Target:
    """One method that a patch wraps, and the versions ``low <= v < high`` whose source has the fault.

    ``symptom`` is a regular expression for the fault in source without white space; ``mended`` says what made the
    patch needless from ``high`` on.
    """

    module: str
    qualname: str
    parameters: tuple[str, ...]
    low: str
    high: str
    symptom: str
    mended: str

    @property
    def name(self) -> str:
        """The target as fingerprints and messages name it."""
        return f"{self.module}:{self.qualname}"


@dataclass(frozen=True)
class Patch:
    """One patch: ``wrap`` and ``probe`` are ``module:function`` within this package.

    ``wrap(original)`` returns the method that takes the place of ``original``; ``probe()`` proves from behaviour that
    the patch is in force: it returns None, or in words what is wrong. ``platform`` is ``"rocm"`` for what only
    matters there.
    """

    id: str
    mends: str
    targets: tuple[Target, ...]
    wrap: str
    probe: str
    platform: str | None = None


_PROCESS = ("self", "layer")
_PROCESS_NAME = "process_weights_after_loading"
_RELAYOUT = r"shuffle_|cat\(\[w3|_setup_kernel\("

PATCHES = (
    Patch(
        "moe-weight-loader",
        "expert weights lose their loader after the first load, so that a second load fails",
        (
            Target(
                _LAYERS + "fused_moe.layer",
                "UnquantizedFusedMoEMethod." + _PROCESS_NAME,
                _PROCESS,
                "0.8.2",
                "0.8.5",
                r"layer\.w(?:13|2)_weight=(?:torch\.nn\.)?Parameter\(",
                "vLLM keeps the parameters itself (vllm-project/vllm#16854)",
            ),
        ),
        "moe:wrap",
        "probes.moe:probe",
    ),
    Patch(
        "moe-kernel-layout",
        "new expert weights are written over the layout of FlashInfer's or AITER's kernels: they are wrong, or fail",
        tuple(
            Target(
                module, "UnquantizedFusedMoEMethod." + _PROCESS_NAME, _PROCESS, low, high, _RELAYOUT, "vLLM moved it"
            )
            for module, low, high in (
                (_LAYERS + "fused_moe.layer", "0.8.5", "0.11.1"),
                (_LAYERS + "fused_moe.unquantized_fused_moe_method", "0.11.1", KNOWN[1]),
            )
        ),
        "moe:wrap_layout",
        "probes.moe:probe_layout",
    ),
    Patch(
        "fp8-block-quant",
        "FP8 block-quantized weights cannot be loaded a second time: class, loader or layout are gone",
        (
            Target(
                _LAYERS + "quantization.fp8",
                "Fp8LinearMethod." + _PROCESS_NAME,
                _PROCESS,
                "0.8.2",
                "0.33.0",
                r"layer\.weight(?:_scale(?:_inv)?)?=Parameter\(|replace_parameter\(|\.fp8_linear\.process_weights",
                "vLLM's replace_parameter keeps the parameter objects",
            ),
            Target(
                _LAYERS + "quantization.fp8",
                "Fp8MoEMethod." + _PROCESS_NAME,
                _PROCESS,
                "0.8.2",
                "0.28.0",
                r"layer\.w(?:13|2)_weight(?:_scale(?:_inv)?)?=(?:torch\.nn\.)?Parameter\(|replace_parameter\("
                r"|self\._setup_kernel\(|\.data=",
                "vLLM keeps the tags of the expert weights",
            ),
        ),
        "fp8.wrap:wrap",
        "probes.fp8:probe",
    ),
    Patch(
        "stale-loaders",
        "verl 0.7 and 0.8 copy a parameter's loading methods with the tensor that they write to: weights stay stale",
        tuple(
            Target(
                "vllm.model_executor.parameter",
                qualname,
                ("self", "loaded_weight", *more),
                "0.8.5",
                KNOWN[1],
                r"self\.data",
                "",
            )
            for qualname, more in (
                ("_ColumnvLLMParameter.load_column_parallel_weight", ()),
                ("_ColumnvLLMParameter.load_merged_column_weight", ("**kwargs",)),
                ("_ColumnvLLMParameter.load_qkv_weight", ("**kwargs",)),
                ("RowvLLMParameter.load_row_parallel_weight", ()),
            )
        ),
        "fp8.loaders:wrap",
        "probes.loaders:probe",
    ),
    Patch(
        "lora-tensors",
        "LoRA adapters load from files only, not from tensors in memory",
        (
            Target(
                "vllm.lora.worker_manager",
                "WorkerLoRAManager._load_adapter",
                ("self", "lora_request"),
                "0.8.2",
                KNOWN[1],
                r"self\._lora_model_cls\.from_local_checkpoint\(",
                "",
            ),
        ),
        "lora:wrap",
        "probes.lora:probe",
    ),
    Patch(
        "lora-mapper",
        "verl asks a model's mapper for get_unstacked_mapper, which vLLM 0.29 renamed: LoRA adapters do not load",
        (
            Target(
                "vllm.model_executor.models.utils",
                "WeightsMapper.get_rename_mapper",
                ("self",),
                "0.29.0",
                KNOWN[1],
                r"WeightsMapper\(",
                "",
            ),
        ),
        "lora:wrap_mapper",
        "probes.lora:probe_mapper",
    ),
    Patch(
        "rocm-moe-expert-map",
        "dummy weights zero the maps of expert parallelism, so that every token goes to the first local expert",
        (
            Target(
                "vllm.model_executor.model_loader.dummy_loader",
                "DummyModelLoader.load_weights",
                ("self", "model", "model_config"),
                "0.20.0",
                "0.27.0",
                r"initialize_dummy_weights\(",
                "vLLM keeps the maps out of what dummy weights fill",
            ),
        ),
        "moe:wrap_dummy",
        "probes.moe:probe_maps",
        "rocm",
    ),
)


@functools.lru_cache(maxsize=1)
def fingerprints() -> Mapping[str, Mapping[str, list[str]]]:
    """By target name and fingerprint, the versions of vLLM whose code it is."""
    text = Path(__file__).with_name("fingerprints.json").read_text(encoding="utf-8")
    return cast("dict[str, dict[str, list[str]]]", json.loads(text))
