"""``verl-env cluster``."""
