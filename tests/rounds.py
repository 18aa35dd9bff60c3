"""How often what happens at random is tried, and by which installers: a few times in every run, or as is asked."""

import os

import pytest

#: For what verl-env does around an installer: by pip, whose start takes a second, in ``make thorough`` alone.
EITHER = ("uv", pytest.param("pip", marks=pytest.mark.thorough))
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "0"))


def rounds(few, share=1.0):
    """How many rounds: a few, or that share of what was asked for."""
    return max(few, int(ROUNDS * share))
