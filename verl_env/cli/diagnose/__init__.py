"""Commands that judge an environment, and mend it."""
