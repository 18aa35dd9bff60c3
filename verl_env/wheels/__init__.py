"""Wheels: fetched, read, held against an environment, given to an installer; our runtime's own."""
