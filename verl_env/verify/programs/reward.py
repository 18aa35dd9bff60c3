"""A reward that differs between answers, so that a step of training moves the weights."""

from __future__ import annotations

from typing import Any


def compute_score(data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None) -> float:
    """The share of digits in an answer."""
    del data_source, ground_truth, extra_info
    return sum(letter.isdigit() for letter in solution_str) / max(len(solution_str), 1)
