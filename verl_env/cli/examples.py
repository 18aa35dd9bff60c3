"""Examples of every command, as its help and the manual page show them: a command line, and what it is for."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "probe": (
        ("verl-env probe", "what this machine is"),
        ("verl-env probe -o node.json", "record it, to plan for it elsewhere"),
    ),
    "stacks": (
        ("verl-env stacks", "what fits this machine"),
        ("verl-env stacks --gpu h100:8 --driver 550.54.15", "what would fit that one"),
    ),
    "plan": (
        ("verl-env plan --stack vllm", "the newest lockset that works here"),
        ("verl-env plan --stack vllm+megatron --machine node.json --explain", "for a recorded node, with every reason"),
    ),
    "find": (
        ("verl-env find flash-attn --into .venv", "for the torch of an environment"),
        ("verl-env find flash-attn --torch 2.8.0 --cuda 12.8 --python 3.12", "for a torch that is nowhere yet"),
    ),
    "diff": (("verl-env diff uv.vllm .venv", "a lockset and an environment, package by package"),),
    "install": (
        ("verl-env install --stack vllm", "make or repair .venv"),
        (
            "verl-env install --stack vllm+sglang --verl 0.4 --python 3.10 --into envs/both",
            "another release, elsewhere",
        ),
        ("verl-env install --stack vllm --dry-run", "what would be done, and nothing done"),
        ("verl-env install --offline --wheelhouse bundle.tar", "from a bundle, without a network"),
    ),
    "bundle": (
        ("verl-env bundle --stack vllm -o bundle.tar", "everything to install from without a network"),
        ("verl-env bundle --verify bundle.tar", "compare every file with its hash"),
    ),
    "pack": (("verl-env pack .venv -o verl.squashfs", "one file, with its interpreter"),),
    "unpack": (("verl-env unpack verl.tar.zst /local/verl", "every file checked by its hash"),),
    "mount": (("verl-env mount verl.squashfs /mnt/verl", "read-only, without unpacking"),),
    "module": (("verl-env module .venv -o modulefiles --name verl", "module files that modules can load"),),
    "pip": (
        ("verl-env pip install wandb", "add a package under the pins"),
        ("verl-env pip install flash-attn", "the wheel or build that fits"),
        ("verl-env pip uninstall wandb", "take it out again"),
    ),
    "run": (("verl-env run -- python -m verl.trainer.main_ppo", "with the variables of the lockset"),),
    "list": (
        ("verl-env list", "where they are, and what runs in them"),
        ("verl-env list --sizes --json", "with their bytes, for a program"),
    ),
    "remove": (
        ("verl-env remove .venv", "it and what is kept beside it, once confirmed"),
        ("verl-env remove .venv --dry-run", "say what would go"),
    ),
    "history": (("verl-env history --verbose", "every package that each change moved"),),
    "rollback": (("verl-env rollback", "as it was before the last change; again: and back"),),
    "doctor": (
        ("verl-env doctor", "the environment that is active, else .venv"),
        ("verl-env doctor --report traceback.txt", "what a pasted log shows"),
        ("verl-env doctor --fix --dry-run", "what would be mended"),
    ),
    "report": (("verl-env report --redact -o report.json", "for a bug report"),),
    "trust": (
        ("verl-env trust", "the digests that were kept when files were first taken"),
        ("verl-env trust --forget https://example.org/x.whl", "take the next file as the first was"),
    ),
    "catalogue": (
        ("verl-env catalogue show", "which one is in force, and since when"),
        ("verl-env catalogue update", "a newer one, signed by whom the configuration trusts"),
        ("verl-env catalogue sign /srv/verl-env --key key.pem", "publish the one in force"),
    ),
    "mcp": (("verl-env mcp", "started by the assistant, not by hand"),),
    "verify": (
        ("verl-env verify --list", "what can be proved, and how long it takes"),
        ("verl-env verify --only attention --only generate", "some parts of it"),
    ),
    "patches": (
        ("verl-env patches list", "what is mended in vLLM, and why"),
        ("verl-env patches verify", "by what vLLM does"),
    ),
    "cluster": (
        ("verl-env cluster doctor --nodes 4 --into .venv", "every node of an allocation"),
        ("verl-env cluster script --nodes 4 -o job.sh -- python train.py", "a job script"),
    ),
    "config": (
        ("verl-env config show", "what is configured, and where it comes from"),
        ("verl-env config init", "write a configuration file"),
    ),
    "lock": (("verl-env lock --check --offline", "whether what is generated is current"),),
    "facts": (("verl-env facts check", "the hardware tables against their sources"),),
    "completion": (
        ("verl-env completion bash > ~/.local/share/bash-completion/completions/verl-env", "bash"),
        ("verl-env completion fish > ~/.config/fish/completions/verl-env.fish", "fish"),
    ),
}


def examples_of(command: str) -> str:
    """The examples of a command as the end of its help; empty where it has none."""
    lines = [f"  {line}\n      {purpose}" for line, purpose in EXAMPLES.get(command, ())]
    return "\n".join(["examples:", *lines]) if lines else ""
