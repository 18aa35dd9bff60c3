"""Engines: each reads one kind of fact and is usable alone; none imports anything of the target."""
