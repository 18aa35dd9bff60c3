"""How often what happens at random is tried: a few times in every run of the suite, or as ``make faults`` asks."""

import os

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "0"))


def rounds(few, share=1.0):
    """How many rounds: a few, or that share of what was asked for."""
    return max(few, int(ROUNDS * share))
