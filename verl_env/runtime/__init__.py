"""The source of ``verl-env-runtime``, the only thing of verl-env that enters an environment.

The packages in this folder are built into a wheel by ``verl_env.install.runtime_wheel``; they import nothing of the
tool, and the tool imports nothing of them but their version.
"""
