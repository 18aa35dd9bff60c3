"""What verl-env ships for a Docker variant: its needs of a machine, and pinned, hashed constraints."""
