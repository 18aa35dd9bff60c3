"""Module files of an environment, for Lmod and for environment-modules."""
