"""Everything that plans need in one directory or file, to install from where there is no network."""
