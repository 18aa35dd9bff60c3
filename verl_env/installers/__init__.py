"""The installers that carry out a plan: uv and pip, behind one protocol."""
