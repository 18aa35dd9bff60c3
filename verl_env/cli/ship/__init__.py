"""Commands that carry environments to other hosts."""
