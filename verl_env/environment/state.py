"""The record inside an environment: what it was made from. ``doctor`` and ``patches`` read it too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from verl_env.environment.files import replace_bytes
from verl_env.reading import json_of, read_bytes
from verl_env.records import NOTHING, record, values

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any


FILE = "verl-env.json"
SCHEMA = 1
_MAPPINGS = (
    "left_out",
    "env",
    "drift",
    "built",
    "ways",
    "facts",
    "deviations",
    "barred",
    "unlike",
    "machine",
    "digests",
    "provided",
)


@record
class Extra:
    """A package that a user added beside the lock.

    ``origin`` is the address or directory it came from, None for an index; ``wish`` is what the user asked for, None
    for what came with it; ``drifted`` says that it could only be had by moving pins, ``builds`` that the command which
    brought it allowed source distributions.
    """

    name: str
    version: str
    origin: str | None = None
    editable: bool = False
    wish: str | None = None
    drifted: bool = False
    builds: bool = False


@record
class State:
    """What an environment was made from.

    ``path`` is where it was made for; ``digest`` that of its plan; ``left_out`` maps native components that are not
    in it to the reason; ``checks`` are the ids of the checks that passed; ``env`` the lockset's run-time variables;
    ``extras`` what users added; ``drift`` the pins that they moved on purpose, each with the version that is there
    now, None where it was removed; ``built`` the native components that were built, as the plan names their versions;
    ``ways`` where each native component that is there came from (``Build.way``); ``facts`` what each that was built was
    built from (``builds.made``); ``deviations`` maps each that came in another version than the lockset's to that one.
    ``asked`` and ``barred`` are those of the plan. ``unlike`` are the files, by package and with their sizes (None
    where missing), that are not as the package's own RECORD says though they came so: they are no damage.
    ``machine`` are the facts of the machine that it was planned for (``machine.record.deciding_facts``).
    ``digests`` maps the addresses of what has no recorded hash to the ``sha256:...`` of what came from there.
    ``provided`` maps the packages of the site to the directories that have them.
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
    extras: tuple[Extra, ...] = ()
    drift: Mapping[str, str | None] = NOTHING
    built: Mapping[str, str] = NOTHING
    ways: Mapping[str, str] = NOTHING
    facts: Mapping[str, Mapping[str, Any]] = NOTHING
    deviations: Mapping[str, str] = NOTHING
    asked: tuple[str, ...] = ()
    barred: Mapping[str, str] = NOTHING
    unlike: Mapping[str, Mapping[str, int | None]] = NOTHING
    machine: Mapping[str, Any] = NOTHING
    digests: Mapping[str, str] = NOTHING
    provided: Mapping[str, str] = NOTHING


def read_state(environment: Path) -> State | None:
    """The state of an environment; None where there is no record, or none that can be read."""
    try:
        data: dict[str, Any] = json_of(read_bytes(environment / FILE))
        if data.pop("schema") != SCHEMA:
            return None
        extras = tuple(Extra(**extra) for extra in data.get("extras", ()))
        asked = tuple(data.get("asked", ()))
        return State(**{**data, "checks": tuple(data["checks"]), "extras": extras, "asked": asked})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_state(environment: Path, state: State) -> None:
    """Writes the record into an environment, replacing one that is there in one step."""
    from verl_env.credentials import without_credentials_in  # noqa: PLC0415 (its patterns take 13 ms; readers need none)

    mappings = {name: dict(getattr(state, name)) for name in _MAPPINGS}
    extras = [values(extra) for extra in state.extras]
    data = {"schema": SCHEMA, **values(state), **mappings, "extras": extras}
    for name in ("unlike", "machine", "digests", "provided"):
        if not data[name]:
            del data[name]
    replace_bytes(environment / FILE, json.dumps(without_credentials_in(data), indent=1).encode())
