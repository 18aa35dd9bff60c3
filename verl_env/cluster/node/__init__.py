"""What runs on each node: its facts, reduced to what must be equal on all of them, as one line of JSON."""
