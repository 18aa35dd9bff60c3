"""``--deep``: nodes exchange data pair by pair and sum over all; the slow or silent pair is named."""
