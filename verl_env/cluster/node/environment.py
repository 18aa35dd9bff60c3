"""The environment of a node, reduced to what must be the same on all of them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from verl_env.environment.state import read_state
from verl_env.wheels.runtime import HOOK

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from verl_env.doctor.facts import Facts

#: What the runtime distribution puts into site-packages.
_RUNTIME = ("verl_env_runtime/**/*.py", f"{HOOK}.py", "verl_env.pth", "sitecustomize.py")


def aspects(facts: Facts) -> dict[str, Any]:
    """Fingerprints of packages and patches, lockset, Python, Ray."""
    if facts.target is None:
        return {}
    state = read_state(facts.target.prefix)
    return {
        "environment": packages_digest(facts),
        "lockset": None if state is None else f"{state.lockset} ({state.digest[:12]})",
        "patches": patches_digest(facts.target.site_paths),
        "python": facts.python,
        "ray": facts.packages.get("ray"),
    }


def packages_digest(facts: Facts) -> str:
    """A digest of the names, versions and origins of all packages, with their number in front."""
    entries = [(name, version, facts.urls.get(name)) for name, version in sorted(facts.packages.items())]
    return f"{len(entries)} packages, {_short(json.dumps(entries).encode())}"


def patches_digest(sites: list[Path]) -> str | None:
    """A digest of the files of the runtime; None where it is not installed."""
    files = sorted(path for site in sites for pattern in _RUNTIME for path in site.glob(pattern))
    if not files:
        return None
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
