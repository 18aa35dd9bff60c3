"""What the drivers share: the tree at the head of the path, the patch or not, and a world of one process."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys

os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("VLLM_USE_V1", "0")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("VLLM_DISABLED_KERNELS", "MarlinFP8ScaledMMLinearKernel,HummingFP8ScaledMMLinearKernel")

if "--patched" in sys.argv:
    import _verl_env_boot  # noqa: F401  what verl_env.pth does

import warnings

warnings.filterwarnings("ignore")
logging = __import__("logging")
logging.disable(logging.WARNING)


def prepare_triton():
    """vLLM 0.9 and 0.10 hide their MoE unless Triton sees a driver."""
    with contextlib.suppress(Exception):
        import triton

        triton.backends.backends["nvidia"].driver.is_active = staticmethod(lambda: True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_world():
    """Distributed state of one process, once; vLLM asks for it when it builds layers."""
    from vllm.distributed import parallel_state as state

    if state.model_parallel_is_initialized():
        return
    port = free_port()
    state.init_distributed_environment(1, 0, f"tcp://127.0.0.1:{port}", 0, "gloo")
    state.initialize_model_parallel(1, 1)


def answer(**values):
    import verl_env_runtime

    values["states"] = {entry["id"]: entry["state"] for entry in verl_env_runtime.status()}
    values["in_force"] = {entry["id"]: entry["in_force"] for entry in verl_env_runtime.status()}
    print("ANSWER " + json.dumps(values))


def prepare_kernels():
    """From 0.18 on vLLM chooses FP8 kernels by platform: it takes the test platform for CUDA, without its library."""
    import importlib
    import importlib.metadata

    import torch

    version = tuple(int(part) for part in importlib.metadata.version("vllm").split(".")[:2])
    if version < (0, 16):
        return
    for name in ("layers.linear", "layers.fused_moe.layer", "layers.quantization.fp8", "model_loader.reload"):
        importlib.import_module("vllm.model_executor." + name)
    from vllm.platforms import current_platform
    from vllm.platforms.interface import PlatformEnum

    type(current_platform)._enum = PlatformEnum.CUDA
    library = torch.library.Library("_C", "FRAGMENT")
    for name in (
        "cutlass_scaled_mm_supports_fp8",
        "cutlass_scaled_mm_supports_block_fp8",
        "cutlass_group_gemm_supported",
        "cutlass_scaled_mm_supports_fp4",
    ):
        with contextlib.suppress(RuntimeError):
            library.define(f"{name}(int capability) -> bool")
            library.impl(name, lambda capability: False, "CompositeExplicitAutograd")
    prepare_kernels.library = library
