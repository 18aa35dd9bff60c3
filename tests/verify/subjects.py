"""Subjects and parts for the tests."""

from verl_env.verify.model import Part, Subject


def subject(**changes):
    """One H100 with torch."""
    values = {
        "lockset": "verl0.9.1-cu130/uv.vllm",
        "python": "3.12.3",
        "gpu": "NVIDIA H100 80GB HBM3",
        "gpus": 1,
        "capability": "9.0",
        "driver": "580.159.04",
        "packages": {"torch": "2.11.0"},
    }
    return Subject(**{**values, **changes})


def part(**changes):
    """A part that needs torch alone."""
    values = {"id": "p", "title": "t", "needs": ("torch",), "seconds": 1, "deadline": 20}
    return Part(**{**values, **changes})
