"""A lockset, its recipe and its lock with invented values, as text and tables."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import TYPE_CHECKING, Any

import tomli_w

if TYPE_CHECKING:
    from pathlib import Path

ID = "verl9.9-cu999/app.engine"

LOCK = """\
# a lock
accelerate==1.9.0 \\
    --hash=sha256:{a} \\
    --hash=sha256:{b}
    # wheel; 367073 bytes; 1432307 unpacked; uploaded 2025-07-16T16:24:52Z
antlr4-python3-runtime==4.9.3 \\
    --hash=sha256:{c}
    # sdist; 1000 bytes; 5000 unpacked; uploaded 2021-11-06T17:52:23Z
engine @ https://example.invalid/engine-1.0+cu9-py3-none-any.whl \\
    --hash=sha256:{d}
    # wheel; version 1.0+cu9; 7 bytes; 8 unpacked
plain==1 \\
    --hash=sha256:{a}
    # wheel
""".format(a="a" * 64, b="b" * 64, c="c" * 64, d="d" * 64)

LOCKSET: dict[str, Any] = {
    "schema": 1,
    "id": ID,
    "family": "9.9",
    "verl": "9.9.1",
    "order": 3,
    "preview": False,
    "tier": "locked",
    "accelerator": "cuda",
    "cuda": "99.1",
    "torch": "8.8.0",
    "provides": ["engine", "megatron"],
    "notes": ['said "twice"', "ümlaut"],
    "build_constraints": ["setuptools==1"],
    "variant": {"path": "docker/Dockerfile.app.engine", "commit": "f" * 40, "date": "2025-07-18", "facts_id": "x-y"},
    "engines": {"engine": "1.2.post3"},
    "requires": {
        "arch": ["x86_64"],
        "glibc": {"minimum": "2.28", "source": "measured"},
        "driver": {"minimum": "525.60.13", "toolkit": "550.54.15", "source": "notes"},
        "gpu": [
            {"component": "torch", "targets": ["8.0", "9.0"], "ptx": True, "source": "measured"},
            {"component": "attention", "targets": [], "minimum": "8.0", "ptx": False, "source": "README"},
        ],
    },
    "env": {"SPAWN": "1", "EMPTY": ""},
    "checks": [{"id": "engine", "code": "import engine\nassert engine", "needs": "gpu"}],
    "natives": [
        {
            "name": "attention",
            "version": "2.0",
            "needed_for": ["megatron"],
            "reason": "no wheel",
            "env": {"JOBS": "4"},
        }
    ],
    "deviations": [{"package": "engine", "recipe": "1.1", "locked": "1.2.post3", "reason": "gone"}],
    "pythons": [
        {
            "python": "3.10",
            "file": "py3.10.txt",
            "sha256": hashlib.sha256(LOCK.encode()).hexdigest(),
            "packages": 4,
            "download_bytes": 11,
            "disk_bytes": 22,
            "unmet": [{"package": "torch", "requires": "cudnn==9", "installed": "absent", "reason": "forced"}],
        }
    ],
}


def lockset(**changes: Any) -> dict[str, Any]:
    """The sample lockset with some keys changed; None takes a key out."""
    table = copy.deepcopy(LOCKSET) | changes
    return {key: value for key, value in table.items() if value is not None}


def write_lockset(root: Path, **changes: Any) -> Path:
    """The sample lockset and its lock under a folder of locksets; returns the path of lockset.toml."""
    table = lockset(**changes)
    folder = root / table["id"]
    folder.mkdir(parents=True)
    (folder / "py3.10.txt").write_text(LOCK)
    (folder / "lockset.toml").write_text(tomli_w.dumps(table))
    return folder / "lockset.toml"


def write_catalogue(root: Path, entries: Any, schema: int = 1) -> None:
    (root / "catalogue.json").write_text(json.dumps({"schema": schema, "locksets": entries}))


RECIPE: dict[str, Any] = {
    **{key: value for key, value in LOCKSET.items() if key not in {"pythons", "deviations", "tier"}},
    "date": "2025-07-18T09:23:19Z",
    "glibc": "2.35",
    "pythons": ["3.10"],
    "torch": "8.8.0",
    "steps": [
        {"title": "1: torch", "install": ["torch==8.8.0", "numpy<2"]},
        {"title": "2: engine", "install": ["engine==1.2.post3"]},
        {"title": "verl", "install": ["verl==9.9.1"], "no_deps": True},
    ],
}


def recipe(**changes: Any) -> dict[str, Any]:
    """The sample recipe with some keys changed; None takes a key out."""
    table = copy.deepcopy(RECIPE) | changes
    return {key: value for key, value in table.items() if value is not None}


def write_recipe(root: Path, **changes: Any) -> Path:
    """The sample recipe under a folder of locksets; returns the path of recipe.toml."""
    table = recipe(**changes)
    folder = root / table["id"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.toml").write_text(tomli_w.dumps(table))
    return folder / "recipe.toml"


def fill(index: Any) -> None:
    """Puts on an index what the steps of the sample recipe install."""
    index.add("torch", "8.8.0", ["numpy", "cudnn==1.0"], tag="cp310-cp310-manylinux1_x86_64", size=100)
    index.add("numpy", "1.26.4", tag="cp310-cp310-manylinux_2_17_x86_64")
    index.add("numpy", "1.26.4", source=True)
    index.add("numpy", "2.0.0")
    index.add("cudnn", "1.0")
    index.add("cudnn", "2.0")
    index.add("engine", "1.2.post3", ["torch==8.8.0", "helper"])
    index.add("helper", "1.0")
    index.add("helper", "1.1", uploaded="2025-08-01T00:00:00Z")
    index.add("verl", "9.9.1", ["engine", "not-on-the-index"])
