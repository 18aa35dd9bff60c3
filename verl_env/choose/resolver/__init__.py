"""Lockset, Python and one way for each native component, decided together."""
