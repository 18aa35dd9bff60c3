"""``verl-env report``: the facts of an environment as the JSON that ``doctor --report`` reads."""

from __future__ import annotations

import getpass
import platform
from typing import TYPE_CHECKING

from verl_env.credentials import hide_secrets_in
from verl_env.doctor.redact import redact_json
from verl_env.machine.record import machine_to_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from verl_env.doctor.facts import Facts

SCHEMA = 1

#: Beginnings of the variables that some check looks at; no other variable enters a report.
_PREFIXES = tuple(
    """
    CUDA_ NVIDIA_ NCCL_ GLOO_ LD_ PYTHON VIRTUAL_ENV CONDA_PREFIX VLLM_ SGLANG_ SGL_ TORCH PYTORCH_ TRITON_ HIP_ ROCR_
    ROCM_ HSA_ RAY_ SLURM_CPUS SLURM_GPUS SLURM_MEM SLURM_JOB_NUM_NODES SLURM_NTASKS SLURM_TMPDIR HF_HUB HF_HOME
    TRANSFORMERS_ UV_ PIP_ TMPDIR OMP_ MAX_JOBS CC CXX FLASH NVTE_ CUDNN_ ASCEND_ WANDB_MODE http_proxy https_proxy
    no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY XFORMERS_ MASTER_ NVCC_ PYTORCH_ROCM_ARCH GPU_ARCHS
    """.split()  # noqa: SIM905
)
_SECRET = ("TOKEN", "KEY", "SECRET", "PASSWORD", "CREDENTIAL", "AUTH", "USERNAME")


def report_of(facts: Facts, *, hide: bool = False) -> dict[str, Any]:
    """The report of an environment.

    Args:
        facts: Its facts.
        hide: Whether to take out names, hosts, private paths and device ids; secrets go always.
    """
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "machine": machine_to_json(facts.machine),
        "python": facts.python or None,
        "packages": dict(sorted(facts.packages.items())),
        "environment": _variables(facts.environment),
        "log": facts.log,
    }
    data |= {"torch_flavour": facts.torch_flavour} if facts.torch_flavour else {}
    data |= {"lockset": facts.lockset} if facts.lockset else {}
    data |= {"proofs": [proof.to_json() for proof in facts.proofs]} if facts.proofs else {}
    return dict(redact_json(data, names=_names()) if hide else hide_secrets_in(data))


def _variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that say something of the environment, never one that may hold a secret."""
    return {
        name: value
        for name, value in sorted(environment.items())
        if name.startswith(_PREFIXES) and not any(word in name.upper() for word in _SECRET)
    }


def _names() -> tuple[str, ...]:
    """The names of this user and this host."""
    host = platform.node()
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = ""
    names = (user, host, host.partition(".")[0])
    return tuple(name for name in names if name and name not in {"root", "localhost", "user"})
