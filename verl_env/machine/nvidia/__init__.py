"""NVIDIA GPUs, the kernel driver, and the CUDA version of the user-mode driver."""

from verl_env.machine.nvidia.probe import NvidiaProbe, probe_nvidia

__all__ = ["NvidiaProbe", "probe_nvidia"]
