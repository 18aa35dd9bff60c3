"""The names of all commands, for those who import none of them."""

from __future__ import annotations

PROGRAM = "verl-env"

#: Every command with its line in the help; ``module_of`` says which module holds it.
COMMANDS = {
    "probe": "show the facts of this machine, each with its source",
    "stacks": "list every lockset with the verdict for this machine",
    "plan": "show what would be installed, and why",
    "find": "find a wheel of flash-attn and the like for any torch, or the build that would work",
    "diff": "compare two locksets, or a lockset and an environment, package by package",
    "install": "make or repair an environment",
    "bundle": "put everything that an environment needs into one directory or file, for hosts without a network",
    "pack": "write an environment with its interpreter into one file",
    "unpack": "unpack such a file, each file of it checked",
    "mount": "mount such a file, read-only",
    "module": "write module files for Lmod and environment-modules",
    "pip": "add packages under the pins of an environment, or take them out",
    "run": "run a command in an environment, with the variables of its lockset",
    "list": "the environments that verl-env made or changed, and what runs in them",
    "remove": "remove an environment that verl-env made",
    "history": "what was done to an environment, when and by whom",
    "rollback": "go back to what an environment was before its last change",
    "doctor": "diagnose an environment",
    "report": "write down an environment and its machine, for doctor --report",
    "mcp": "serve probe, plan, doctor and verify as read-only tools for assistants",
    "verify": "prove an environment by what it does: attention, generation, refit, training, several GPUs",
    "patches": "the run-time patches of an environment",
    "cluster": "the same on every node: diagnose them, stage an environment, write a job script",
    "config": "show what is configured and where it comes from, or write a configuration file",
    "trust": "the digests of what has no recorded hash; accept another file",
    "catalogue": "the catalogue of native components: which is in force, a newer one where a site allows it",
    "lock": "regenerate locksets from their recipes (maintainers)",
    "facts": "compare the hardware tables with what their sources publish (maintainers)",
    "completion": "print a completion script for a shell",
}
#: The folders of commands; those that are in none lie beside this module.
FOLDERS = {
    "ship": ("bundle", "pack", "unpack", "mount", "module"),
    "diagnose": ("doctor", "report", "mcp", "verify", "patches"),
    "nodes": ("cluster",),
    "maintain": ("config", "trust", "catalogue", "lock", "facts", "completion"),
}


def module_of(command: str) -> str:
    """The module that holds a command: its ``add_arguments`` and its ``main``."""
    folder = next((f"{folder}." for folder, names in FOLDERS.items() if command in names), "")
    return f"verl_env.cli.{folder}{command}"
