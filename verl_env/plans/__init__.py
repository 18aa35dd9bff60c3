"""What an environment is to hold, decided beforehand, and what is there held against it."""
