"""What was done with a lockset, as data beside it: installations, and proofs. Its tier follows from them.

``installs.toml`` lists the environments that were made from it and whose checks passed; ``proofs/*.json`` are documents
of ``verl-env verify``. ``verl-env lock --record`` writes both, and lockset.toml takes over what the tool shows.
"""

from __future__ import annotations

import json
import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import tomli_w

from verl_env.locksets.errors import LocksetInvalidError
from verl_env.locksets.load import install, proof, read_toml
from verl_env.shapes import FieldError, many

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from verl_env.locksets.recipe import LocksetRecipe

INSTALLS = "installs.toml"
PROOFS = "proofs"
SCHEMA = 1
_HEAD = "# Every environment that was made from this lockset and whose checks passed (verl-env lock --record).\n"


def evidence(recipe: LocksetRecipe) -> dict[str, Any]:
    """The keys of lockset.toml that say how far a lockset was tried: tier, Pythons, installations, proofs.

    Raises:
        LocksetInvalidError: a file cannot be read, or speaks of a Python that the lockset has no lock for.
    """
    folder = recipe.file.parent
    installs, proofs = _installs(folder / INSTALLS), _proofs(folder, recipe)
    proven = [each["python"] for each in proofs if each["ok"]]
    tried = {*proven, *(each["python"] for each in installs)}
    if stray := sorted(tried - set(recipe.pythons)):
        raise LocksetInvalidError(folder / INSTALLS, "installs", f"Python {stray[0]} has no lock here")
    tier = "proven" if proven else "installed" if tried else _untried(recipe)
    table = {"tier": tier, "installed": [each for each in recipe.pythons if each in tried]}
    return {name: value for name, value in {**table, "installs": installs, "proofs": proofs}.items() if value}


def _untried(recipe: LocksetRecipe) -> str:
    if not recipe.pythons:
        return "recorded"
    return "planned" if "planned" in recipe.identity else "locked"


def _installs(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    table = read_toml(file)
    if table.get("schema") != SCHEMA:
        raise LocksetInvalidError(file, "schema", f"must be {SCHEMA}, not {table.get('schema')!r}")
    try:
        many(install)(table.get("installs"))
    except FieldError as error:
        raise LocksetInvalidError(file, f"installs{error.key}", error.reason) from None
    return list(table["installs"])


def _proofs(folder: Path, recipe: LocksetRecipe) -> list[dict[str, Any]]:
    return [_proof(file, recipe) for file in sorted((folder / PROOFS).glob("*.json"))]


def _proof(file: Path, recipe: LocksetRecipe) -> dict[str, Any]:
    try:
        document = json.loads(file.read_bytes())
        table = summary(document, _components(recipe))
        proof(table)
    except FieldError as error:
        raise LocksetInvalidError(file, error.key, error.reason) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LocksetInvalidError(file, "", f"is no document of verl-env verify: {error!r}") from error
    if document["lockset"] != recipe.id:
        raise LocksetInvalidError(file, "lockset", f"must be {recipe.id}, not {document['lockset']}")
    return table


def _components(recipe: LocksetRecipe) -> list[str]:
    return [native["name"] for native in recipe.identity.get("natives", ())]


def summary(document: Mapping[str, Any], components: Sequence[str]) -> dict[str, Any]:
    """What lockset.toml keeps of a document of ``verl-env verify``: no figures and no logs.

    Raises:
        KeyError: and TypeError, the document is none.
    """
    packages = document["packages"]
    states = [part["state"] for part in document["parts"]]
    machine = {name: document[name] for name in ("gpu", "gpus", "driver") if document[name] is not None}
    return {
        "date": document["date"],
        "python": ".".join(document["python"].split(".")[:2]),
        **machine,
        "ok": "passed" in states and "failed" not in states,
        "parts": {part["id"]: part["state"] for part in document["parts"]},
        "natives": {name: packages[name] for name in components if name in packages},
    }


def add_install(folder: Path, entry: Mapping[str, Any]) -> Path:
    """Writes one more installation beside a lockset, and returns the file.

    Raises:
        LocksetInvalidError: the file that is there cannot be read.
    """
    file = folder / INSTALLS
    file.write_text(_HEAD + tomli_w.dumps({"schema": SCHEMA, "installs": [*_installs(file), entry]}), encoding="utf-8")
    return file


def add_proof(folder: Path, document: Mapping[str, Any]) -> Path:
    """Writes a document of ``verl-env verify`` beside a lockset, under a name that says of what; returns the file."""
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    digest = sha256(text.encode()).hexdigest()[:8]
    name = "-".join((document["date"][:10], document["gpu"] or "no-gpu", f"py{document['python']}", digest))
    file = folder / PROOFS / f"{re.sub(r'[^A-Za-z0-9.]+', '-', name).lower()}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file
