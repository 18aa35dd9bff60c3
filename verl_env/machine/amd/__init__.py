"""AMD GPUs, the amdgpu kernel driver and ROCm's user space."""

from verl_env.machine.amd.probe import SECONDS, probe_amd

__all__ = ["SECONDS", "probe_amd"]
