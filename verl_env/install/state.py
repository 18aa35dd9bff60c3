"""The record inside an environment: what it was made from. ``doctor`` and ``patches`` read it too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from verl_env.install.files import replace_bytes
from verl_env.records import NOTHING, record, values

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from verl_env.install.model import Plan

FILE = "verl-env.json"
SCHEMA = 1


@record
class State:
    """What an environment was made from.

    ``path`` is where it was made for; ``digest`` that of its plan; ``left_out`` maps native components that are not
    in it to the reason; ``checks`` are the ids of the checks that passed; ``env`` the lockset's run-time variables.
    """

    path: str
    lockset: str
    stack: str
    python: str
    digest: str
    verl_source: str | None
    left_out: Mapping[str, str]
    checks: tuple[str, ...]
    env: Mapping[str, str] = NOTHING
    installer: str = ""
    tool: str = ""
    made: str = ""


def read_state(environment: Path) -> State | None:
    """The state of an environment; None where there is no record, or none that can be read."""
    try:
        data: dict[str, Any] = json.loads((environment / FILE).read_bytes())
        if data.pop("schema") != SCHEMA:
            return None
        return State(**{**data, "checks": tuple(data["checks"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_state(environment: Path, state: State) -> None:
    """Writes the record into an environment, replacing one that is there in one step."""
    data = {"schema": SCHEMA, **values(state), "left_out": dict(state.left_out), "env": dict(state.env)}
    replace_bytes(environment / FILE, json.dumps(data, indent=1).encode())


def plan_digest(plan: Plan, runtime: str) -> str:
    """A digest of everything in a plan that decides what is in the environment.

    Args:
        plan: The plan.
        runtime: The fingerprint of the runtime distribution (``runtime_wheel.fingerprint``).
    """
    from hashlib import sha256  # noqa: PLC0415 (installing alone needs it)

    text = json.dumps(
        {
            "lockset": plan.lockset.id,
            "python": plan.python,
            "arch": plan.arch,
            "packages": [(package.name, package.version) for package in plan.packages],
            "natives": [(choice.name, choice.version, choice.how) for choice in plan.natives],
            "verl_source": plan.verl_source,
            "env": dict(plan.env),
            "runtime": runtime,
        },
        sort_keys=True,
    )
    return sha256(text.encode()).hexdigest()
