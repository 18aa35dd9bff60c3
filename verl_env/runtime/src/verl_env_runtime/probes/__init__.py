"""Proofs from behaviour: each runs vLLM's own code on toys, on the CPU, and says in words what is wrong, if anything.

They import vLLM; ``python -m verl_env_runtime`` runs them.
"""
