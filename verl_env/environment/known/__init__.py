"""The environments of a user: remembered by path, and listed."""
