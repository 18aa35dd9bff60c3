# ruff: noqa: INP001
"""Maintainers: notes the fingerprints of the patched methods in unpacked vLLM wheels.

``python verl_env/runtime/record_fingerprints.py TREE...`` where each TREE is a folder that holds ``vllm/`` and its
``.dist-info``. With ``--check`` nothing is written, and the exit code is 1 where a tree has code that is not noted.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

SRC = Path(__file__).resolve().parent / "src"
TABLE = SRC / "verl_env_runtime" / "fingerprints.json"

sys.path.insert(0, str(SRC))

from verl_env_runtime.registry import PATCHES  # noqa: E402
from verl_env_runtime.source import tree_at  # noqa: E402
from verl_env_runtime.versions import in_range, version_key  # noqa: E402


def main() -> int:
    """Runs the command line and returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trees", nargs="+", type=Path, metavar="TREE")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    old = json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else {}
    table = merged(old, args.trees)
    text = json.dumps(table, indent=1, sort_keys=True) + "\n"
    if args.check:
        return int(table != old)
    TABLE.write_text(text, encoding="utf-8")
    return 0


def merged(old: dict[str, dict[str, list[str]]], trees: list[Path]) -> dict[str, dict[str, list[str]]]:
    """The table with what the trees add, versions in order."""
    table = {name: {print_: set(versions) for print_, versions in prints.items()} for name, prints in old.items()}
    for folder in trees:
        tree = tree_at(folder / "vllm")
        for target in (target for patch in PATCHES for target in patch.targets):
            function = tree.function(target.module, target.qualname)
            if function is None or tree.version is None or not in_range(tree.version, target.low, target.high):
                continue
            table.setdefault(target.name, {}).setdefault(function.fingerprint, set()).add(tree.version)
    return {
        name: {print_: sorted(versions, key=_key) for print_, versions in sorted(prints.items())}
        for name, prints in sorted(table.items())
    }


def _key(version: str) -> tuple[int, ...]:
    return version_key(version) or ()


if __name__ == "__main__":
    sys.exit(main())
