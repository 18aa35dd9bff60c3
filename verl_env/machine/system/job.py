"""What a job's scheduler sets that programs of the environment refuse."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def as_in_job(environ: Mapping[str, str], *, amd: bool) -> dict[str, str]:
    """The variables as Ray and verl take them.

    Slurm sets ROCR_VISIBLE_DEVICES for GPUs of any maker. verl's workers refuse it beside CUDA_VISIBLE_DEVICES, and Ray
    from 2.45 on for AMD's, which it counts by HIP_VISIBLE_DEVICES; for NVIDIA's that would contradict what Ray gives
    each worker. Outside of a job of Slurm they are the user's own and stay.

    Args:
        environ: The variables.
        amd: Whether the GPUs of this node are AMD's.
    """
    variables = dict(environ)
    devices = variables.get("ROCR_VISIBLE_DEVICES")
    if devices and variables.get("SLURM_JOB_ID"):
        del variables["ROCR_VISIBLE_DEVICES"]
        if amd:
            variables["HIP_VISIBLE_DEVICES"] = devices
    return variables


def has_amd_driver() -> bool:
    """Whether the compute driver of AMD's GPUs is loaded on this node."""
    return os.path.exists("/dev/kfd")  # noqa: PTH110
