"""An environment with its interpreter as one file: made, unpacked, mounted, run."""
