"""An environment on disk: its one writer. Everything that changes one goes through ``change``."""
