"""What users add to an environment beside the lock: resolved under its pins, recorded, and kept by repairs."""
