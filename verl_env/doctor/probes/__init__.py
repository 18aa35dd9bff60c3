"""Programs that ``--deep`` runs in the target environment, each as a file of its own; nothing here imports them."""
