"""The run-time patches seen from outside: their state in an environment, and putting them in and taking them out."""
