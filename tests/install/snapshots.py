"""Directories that are made once a session and put back for each test, at the path that they were made at.

An environment names its path in scripts and records, so that a copy elsewhere would be another one.
"""

import shutil


class Snapshots:
    """Directories by name, below a root."""

    def __init__(self, root):
        self.root = root

    def restore(self, name, make):
        """The directory of a name as ``make``, which is given its path, once left it."""
        place, kept = self.root / name, self.root / f"{name}.kept"
        if kept.exists():
            shutil.rmtree(place)
            shutil.copytree(kept, place, symlinks=True)
        else:
            place.mkdir()
            make(place)
            shutil.copytree(place, kept, symlinks=True)
        return place
