"""Plans, and the environments that they make."""
