"""Many nodes: the doctor on each, an environment staged to each, and scripts that start jobs on all of them.

No scheduler and no fan-out of its own: ``srun`` starts the tasks, or Ray does on a cluster that runs already.
"""
