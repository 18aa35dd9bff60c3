"""The platform class itself; apart from the entry point, because it imports vLLM."""

from __future__ import annotations

import torch
from vllm.platforms.interface import DeviceCapability, Platform, PlatformEnum

CAPABILITY = (9, 0)


class TestPlatform(Platform):
    _enum = PlatformEnum.OOT
    device_name = "cpu"
    device_type = "cpu"
    dispatch_key = "CPU"
    ray_device_key = "GPU"
    supported_dtypes = (torch.float32, torch.bfloat16, torch.float16)
    supported_quantization = []  # noqa: RUF012  vLLM reads it as its own platforms declare it

    @classmethod
    def get_device_capability(cls, device_id=0):
        return DeviceCapability(*CAPABILITY)

    @classmethod
    def has_device_capability(cls, capability, device_id=0):
        wanted = capability if isinstance(capability, tuple) else divmod(capability, 10)
        return wanted <= CAPABILITY

    @classmethod
    def is_device_capability(cls, capability, device_id=0):
        wanted = capability if isinstance(capability, tuple) else divmod(capability, 10)
        return wanted == CAPABILITY

    @classmethod
    def get_device_name(cls, device_id=0):
        return "test"

    @classmethod
    def get_device_total_memory(cls, device_id=0):
        return 80 << 30

    @classmethod
    def is_async_output_supported(cls, enforce_eager):
        return False

    @classmethod
    def inference_mode(cls):
        return torch.no_grad()

    @classmethod
    def check_and_update_config(cls, vllm_config):
        return

    @classmethod
    def get_attn_backend_cls(cls, *args, **kwargs):
        return "vllm.attention.backends.placeholder_attn.PlaceholderAttentionBackend"

    @classmethod
    def is_pin_memory_available(cls):
        return False

    @classmethod
    def supports_v1(cls, model_config):
        return False

    @classmethod
    def supports_fp8(cls):
        return True

    @classmethod
    def fp8_dtype(cls):
        return torch.float8_e4m3fn

    @classmethod
    def get_device_communicator_cls(cls):
        return "vllm.distributed.device_communicators.base_device_communicator.DeviceCommunicatorBase"
