"""A Ray cluster that runs already, reached by the Ray of its own environment in a child process."""
