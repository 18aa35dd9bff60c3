"""A draft of a recipe from a Dockerfile: what can be read of it, and a list of what cannot."""
