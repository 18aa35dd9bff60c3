"""The doctor: finds what is wrong with an environment from outside, without importing anything of it."""
