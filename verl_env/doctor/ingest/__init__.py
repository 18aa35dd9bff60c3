"""Reports: JSON or pasted text becomes facts."""
