"""A platform for vLLM's source on a machine without a GPU: the device is the CPU, the capability that of a Hopper."""

from __future__ import annotations


def register():
    return "verl_env_test_platform_class.TestPlatform"
