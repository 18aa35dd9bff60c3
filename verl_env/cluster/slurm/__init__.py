"""Slurm 22.05 and newer: what it knows of nodes, an allocation for a moment, and one srun over all nodes."""
