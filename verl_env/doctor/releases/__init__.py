"""What every release of the stack asks for, from the metadata that the index serves; it is generated."""
