"""The operating system and the share of it that this process may use."""
