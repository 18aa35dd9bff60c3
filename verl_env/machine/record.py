"""A machine as JSON: what ``verl-env probe`` prints, ``probe -o`` writes and ``--machine`` reads.

``null`` is a fact that was looked for and is not there; a key left out is not known. Keys that this version does not
know are ignored, so that files of later versions can be read.
"""

from __future__ import annotations

from verl_env.errors import EXIT_MISUSE, VerlEnvError
from verl_env.machine.model import (
    UNKNOWN,
    Amd,
    AmdDevice,
    Host,
    Machine,
    Nvidia,
    NvidiaDevice,
    Problem,
    PythonInterpreter,
    Toolchain,
)
from verl_env.records import NOTHING, is_record, record, values
from verl_env.versions import is_dotted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any, TypeVar

    T = TypeVar("T")

SCHEMA = 1
#: What of a machine's record decides whether something made for it runs elsewhere; serial numbers and paths do not.
_DECIDING = ("schema", "host", "nvidia", "amd")
_OF_HOST = ("os", "os_version", "arch", "glibc")


class MachineFileError(VerlEnvError):
    """A machine description that cannot be used: where it came from, which key, and why."""

    id = "machine-file-invalid"
    exit_code = EXIT_MISUSE
    reason: str
    key: str = ""
    origin: str = "the machine description"
    says = "{origin:+{origin}: }{key:+{key}: }{reason}"
    helps = "record the machine again, on that machine: verl-env probe -o machine.json"


@record
class _Kind:
    """What a value must be, in words and as a test."""

    name: str
    accepts: Callable[[Any], bool]
    nullable: bool = True


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_gfx(value: object) -> bool:
    return isinstance(value, str) and value[:3] == "gfx" and value[3:].isalnum()


def _is_capability(value: object) -> bool:
    return isinstance(value, str) and is_dotted(value) and value.count(".") == 1


_TEXT = _Kind("a string", lambda value: isinstance(value, str))
_DOTTED = _Kind("a dotted number such as 550.54.15", lambda value: isinstance(value, str) and is_dotted(value))
_NUMBER = _Kind("a whole number", _is_int)
_WORD = _Kind("a string", lambda value: isinstance(value, str), nullable=False)
_COUNT = _Kind("a whole number", _is_int, nullable=False)
_FLAG = _Kind("true or false", lambda value: isinstance(value, bool), nullable=False)
_CAPABILITY = _Kind("a compute capability such as 9.0", _is_capability)
_GFX = _Kind("a gfx target such as gfx942", _is_gfx)

_HOST = {
    "os": _TEXT,
    "os_version": _TEXT,
    "kernel": _TEXT,
    "arch": _WORD,
    "glibc": _DOTTED,
    "musl": _TEXT,
    "cpus": _COUNT,
    "memory_bytes": _COUNT,
    "wsl": _FLAG,
    "container": _TEXT,
    "jetson": _TEXT,
}
_NVIDIA = {"driver": _DOTTED, "cuda": _DOTTED}
_NVIDIA_DEVICE = {
    "index": _COUNT,
    "name": _TEXT,
    "uuid": _TEXT,
    "compute_capability": _CAPABILITY,
    "memory_bytes": _NUMBER,
    "mig": _FLAG,
    "compute_mode": _TEXT,
    "pci_id": _TEXT,
}
_AMD = {"driver": _TEXT, "rocm": _DOTTED}
_AMD_DEVICE = {"index": _COUNT, "name": _TEXT, "gfx": _GFX, "memory_bytes": _NUMBER, "pci_id": _TEXT}
_PYTHON = {"version": _DOTTED, "path": _WORD}
_PYTHON_MORE = {"venv": _FLAG, "headers": _FLAG}
_PROBLEM = {"id": _WORD, "message": _WORD}
_TOOLCHAIN = dict.fromkeys(("nvcc", "cuda_home", "gcc", "gxx", "hipcc", "cmake", "ninja"), _TEXT)


def read_machine(path: str | Path) -> Machine:
    """The machine recorded in a file.

    Raises:
        MachineFileError: the file cannot be read, is no JSON, is of another schema, or holds an impossible value.
    """
    from verl_env.reading import json_of  # noqa: PLC0415  a probe writes records and reads none

    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  pathlib would cost more than the reading
            data = json_of(file.read())
    except OSError as error:
        raise MachineFileError(f"cannot be read ({error.strerror})", origin=str(path)) from error
    except ValueError as error:
        raise MachineFileError(f"is not valid JSON ({error})", origin=str(path)) from error
    return machine_from_json(data, origin=str(path))


def machine_from_json(data: object, *, origin: str = "the machine description") -> Machine:
    """The machine that a decoded JSON object describes.

    Raises:
        MachineFileError: it is of another schema, or holds a value of the wrong form; the error names the key.
    """
    try:
        return _machine(_mapping(data, ""))
    except MachineFileError as error:
        raise MachineFileError(error.reason, key=error.key, origin=origin) from None


def machine_to_json(machine: Machine) -> dict[str, Any]:
    """The machine as ``verl-env probe --json`` prints it; unknown facts are left out."""
    return {"schema": SCHEMA, **_encode(machine)}


def deciding_facts(machine: Machine) -> dict[str, Any]:
    """The facts of a machine that a plan rests on, as they are recorded with what was made for it."""
    document = {key: value for key, value in machine_to_json(machine).items() if key in _DECIDING}
    document["host"] = {key: value for key, value in document.get("host", {}).items() if key in _OF_HOST}
    for side in ("nvidia", "amd"):
        for device in (document.get(side) or {}).get("devices") or ():
            device.pop("uuid", None)
    return document


def _machine(top: Mapping[str, Any]) -> Machine:
    if top.get("schema") != SCHEMA:
        raise MachineFileError(f"must be {SCHEMA}, not {top.get('schema')!r}", key="schema")
    known: dict[str, Any] = {}
    if "host" in top:
        known["host"] = Host(**_facts(top["host"], "host", _HOST))
    if "nvidia" in top:
        known["nvidia"] = _side(top["nvidia"], "nvidia", _NVIDIA, _NVIDIA_DEVICE, Nvidia, NvidiaDevice)
    if "amd" in top:
        known["amd"] = _side(top["amd"], "amd", _AMD, _AMD_DEVICE, Amd, AmdDevice)
    if "toolchain" in top:
        tools = _mapping(top["toolchain"], "toolchain")
        paths = _texts(tools.get("paths", {}), "toolchain.paths")
        known["toolchain"] = Toolchain(**_facts(tools, "toolchain", _TOOLCHAIN), paths=paths)
    if "pythons" in top:
        known["pythons"] = _items(top["pythons"], "pythons", PythonInterpreter, _PYTHON, _PYTHON_MORE)
    sources = _texts(top.get("sources", {}), "sources")
    problems = _items(top.get("problems", []), "problems", Problem, _PROBLEM)
    return Machine(**known, sources=sources, problems=problems)


def _side(
    data: object,
    key: str,
    facts: Mapping[str, _Kind],
    device_facts: Mapping[str, _Kind],
    side: Callable[..., T],
    device: Callable[..., object],
) -> T | None:
    """One vendor: null, or its facts and devices; a device without an index takes its place in the list."""
    if data is None:
        return None
    values = _mapping(data, key)
    devices = []
    for place, entry in enumerate(_list(values.get("devices", []), f"{key}.devices")):
        at = f"{key}.devices[{place}]"
        devices.append(device(**{"index": place, **_facts(entry, at, device_facts)}))
    return side(**_facts(values, key, facts), devices=tuple(devices))


def _facts(data: object, key: str, kinds: Mapping[str, _Kind]) -> dict[str, Any]:
    """The known keys of an object, each checked."""
    values = _mapping(data, key)
    return {name: _checked(values[name], f"{key}.{name}", kind) for name, kind in kinds.items() if name in values}


def _checked(value: object, key: str, kind: _Kind) -> object:
    if (value is None and kind.nullable) or (value is not None and kind.accepts(value)):
        return value
    import json  # noqa: PLC0415  (as above)

    raise MachineFileError(f"must be {kind.name}, not {json.dumps(value)}", key=key)


def _items(
    data: object, key: str, make: Callable[..., T], needed: Mapping[str, _Kind], more: Mapping[str, _Kind] = NOTHING
) -> tuple[T, ...]:
    """A list of objects that must have the needed keys and may have more."""
    made = []
    for place, entry in enumerate(_list(data, key)):
        at = f"{key}[{place}]"
        facts = _facts(entry, at, {**needed, **more})
        for name in needed.keys() - facts.keys():
            raise MachineFileError("is missing", key=f"{at}.{name}")
        made.append(make(**facts))
    return tuple(made)


def _texts(data: object, key: str) -> dict[str, str]:
    return {name: str(_checked(value, f"{key}.{name}", _WORD)) for name, value in _mapping(data, key).items()}


def _mapping(data: object, key: str) -> Mapping[str, Any]:
    if isinstance(data, dict):
        return data
    raise MachineFileError("must be an object", key=key)


def _list(data: object, key: str) -> list[Any]:
    if isinstance(data, list):
        return data
    raise MachineFileError("must be a list", key=key)


def _encode(value: Any) -> Any:
    """Records as objects without their unknown facts, tuples as lists."""
    if is_record(value):
        return {name: _encode(item) for name, item in values(value).items() if item is not UNKNOWN}
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    return dict(value) if hasattr(value, "keys") else value
