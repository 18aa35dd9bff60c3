"""A working verl + vLLM + SGLang + Megatron environment on bare metal, without Docker."""

__version__ = "0.1.0"
