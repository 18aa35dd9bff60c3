"""Proofs: what an environment does, shown by small real work in it."""
