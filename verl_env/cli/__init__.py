"""The command line: one module per command; parse, call, render, no logic."""
