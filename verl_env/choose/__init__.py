"""Which lockset fits a machine, and why each other one does not."""
