"""NVIDIA GPUs, the kernel driver, and the CUDA version of the user-mode driver."""
