"""Proofs that users keep in an environment: documents of ``verl-env verify``, and of which state of it they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from verl_env.environment.files import replace_bytes
from verl_env.reading import json_of, read_bytes
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE = "verl-env-proofs.json"
SCHEMA = 1


@record
class KeptProof:
    """A document of ``verl-env verify``; ``current`` says that the environment was not changed since."""

    document: Mapping[str, Any]
    current: bool

    def to_json(self) -> dict[str, Any]:
        """When it was made, on what, and what came of each part."""
        found = self.document
        parts = {part["id"]: part["state"] for part in found["parts"]}
        return {name: found[name] for name in ("date", "gpu", "driver")} | {"parts": parts, "current": self.current}


def keep_proof(prefix: Path, document: Mapping[str, Any]) -> Path:
    """Adds a proof to those that an environment has, in one step, and returns their file.

    Args:
        prefix: The environment.
        document: What ``verl-env verify --json`` writes.

    Raises:
        OSError: it cannot be written.
    """
    file = prefix.resolve() / FILE
    kept = [*_read(file), {"generation": file.parent.name, "document": document}]
    replace_bytes(file, json.dumps({"schema": SCHEMA, "proofs": kept}, indent=1).encode() + b"\n")
    return file


def kept_proofs(prefix: Path) -> tuple[KeptProof, ...]:
    """The proofs of an environment, the oldest first; none where the file is missing or unreadable."""
    file = prefix.resolve() / FILE
    return tuple(KeptProof(each["document"], each["generation"] == file.parent.name) for each in _read(file))


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        entries = json_of(read_bytes(file))["proofs"]
        return [each for each in entries if isinstance(each["document"]["parts"], list) and each["generation"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
