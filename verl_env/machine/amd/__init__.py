"""AMD GPUs, the amdgpu kernel driver and ROCm's user space."""
