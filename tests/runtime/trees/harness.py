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


def start_world(config=None):
    """Distributed state of one process; vLLM asks for it when it builds layers."""
    from vllm.distributed import parallel_state as state

    port = free_port()
    state.init_distributed_environment(1, 0, f"tcp://127.0.0.1:{port}", 0, "gloo")
    state.initialize_model_parallel(1, 1)


def answer(**values):
    import verl_env_runtime

    values["states"] = {entry["id"]: entry["state"] for entry in verl_env_runtime.status()}
    values["in_force"] = {entry["id"]: entry["in_force"] for entry in verl_env_runtime.status()}
    print("ANSWER " + json.dumps(values))
