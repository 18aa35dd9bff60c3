"""``--report``: a JSON description or pasted text becomes facts. What is not stated is unknown."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from verl_env.doctor.commands import Shell
from verl_env.doctor.errors import ReportUnreadableError
from verl_env.doctor.facts import Facts
from verl_env.doctor.ingest.clean import clean, logged
from verl_env.doctor.ingest.flavour import flavour_of_packages
from verl_env.doctor.ingest.packages import read_packages
from verl_env.doctor.ingest.statements import stated
from verl_env.doctor.ingest.system import capability_of, read_system, target_of
from verl_env.doctor.ingest.variables import read_variables
from verl_env.machine.model import UNKNOWN
from verl_env.machine.record import SCHEMA, MachineFileError, machine_from_json
from verl_env.reading import json_of
from verl_env.records import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any, BinaryIO, TypeVar

    from verl_env.machine.model import AmdDevice, Known, Machine, NvidiaDevice

    Device = TypeVar("Device", NvidiaDevice, AmdDevice)

#: More text than this is shortened: the beginning holds the environment, the end the error, and of what is between
#: the lines are kept that tell of a failure, with those above them.
MAX_CHARACTERS = 600_000
_END = 200_000
#: Bytes of a file that are read at either end.
_HALF_BYTES = 3_200_000
_TELLING = re.compile(
    r"Traceback|Error\b|ERROR|error:|Exception|[Ff]ailed|FAILED|fatal|FATAL|CRITICAL|undefined symbol|not found|Killed"
    r"|Aborted|dumped|terminate called|out of memory|WARN"
)
_ABOVE, _BELOW = 12, 2
#: A text with more characters than this that are none of a text, and more of them among a thousand, is none.
_MOST_ODD = 100
_ODD = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\ufffd]")


def read_report(path: Path) -> Facts:
    """The facts of a report file.

    Raises:
        ReportUnreadableError: it cannot be read, is empty, or is JSON of another form.
    """
    try:
        with path.open("rb") as stream:
            data = _ends(stream)
    except OSError as error:
        raise ReportUnreadableError(str(path), f"cannot be read ({error.strerror})") from error
    return facts_of(_text_of(data, str(path)), origin=str(path))


def read_stream(stream: BinaryIO, origin: str) -> Facts:
    """The facts of a report that comes through a pipe.

    Raises:
        ReportUnreadableError: it cannot be read, is empty, is no text, or is JSON of another form.
    """
    try:
        data = bytearray()
        while block := stream.read(1 << 20):
            data += block
            if len(data) > 4 * _HALF_BYTES:
                data[_HALF_BYTES:-_HALF_BYTES] = b"\n"
    except OSError as error:
        raise ReportUnreadableError(origin, f"cannot be read ({error.strerror})") from error
    return facts_of(_text_of(bytes(data), origin), origin=origin)


def _ends(stream: BinaryIO) -> bytes:
    """A file without its middle where it is long."""
    size = stream.seek(0, os.SEEK_END) if stream.seekable() else 0
    if size <= 2 * _HALF_BYTES:
        if stream.seekable():
            stream.seek(0)
        return stream.read(2 * _HALF_BYTES)
    stream.seek(0)
    head = stream.read(_HALF_BYTES)
    stream.seek(size - _HALF_BYTES)
    return head + b"\n" + stream.read(_HALF_BYTES)


def _text_of(data: bytes, origin: str) -> str:
    """The text that bytes are: UTF-8, or UTF-16 where it says so.

    Raises:
        ReportUnreadableError: it is empty, or no text.
    """
    wide = data[:2] in {b"\xff\xfe", b"\xfe\xff"}
    text = data.decode("utf-16" if wide else "utf-8", "replace")
    if not text.strip():
        raise ReportUnreadableError(origin, "is empty")
    sample = text[:100_000]
    odd = len(_ODD.findall(sample))
    if odd > _MOST_ODD and odd * 1000 > _MOST_ODD * len(sample):
        raise ReportUnreadableError(origin, "is no text: it holds bytes that no report has")
    return text


def facts_of(text: str, *, origin: str = "the report") -> Facts:
    """The facts of a report's text.

    Raises:
        ReportUnreadableError: it is JSON of another form than ``verl-env report`` writes.
    """
    data = _json(text)
    if data is None:
        return _from_text(shortened(text))
    if not isinstance(data, dict):
        raise ReportUnreadableError(origin, "is JSON, but no object")
    return _from_json(data, origin)


def _json(text: str) -> Any:
    """The decoded JSON of a text that is JSON as a whole, else None."""
    if not text.lstrip("\ufeff \t\r\n").startswith(("{", "[")):
        return None
    try:
        return json_of(text.lstrip("\ufeff"))
    except ValueError:
        return None


def shortened(text: str) -> str:
    """A text of ``MAX_CHARACTERS`` at most: both ends, and of the middle what tells of failures, the first of it."""
    if len(text) <= MAX_CHARACTERS:
        return text
    told = "\n".join(_told(text[_END:-_END].split("\n")))
    return "\n".join((text[:_END], told[: MAX_CHARACTERS - 2 * _END], text[-_END:]))


def _told(lines: Sequence[str]) -> Iterator[str]:
    """The lines that tell of a failure, with some above and below them."""
    done = 0
    for number, line in enumerate(lines):
        if number >= done - _BELOW and _TELLING.search(line):
            yield from lines[max(done, number - _ABOVE) : number + _BELOW + 1]
            done = number + _BELOW + 1


def _from_text(text: str) -> Facts:
    plain = clean(text)
    said = stated(plain)
    system, packages = read_system(said), read_packages(said)
    flavour = system.torch_flavour or flavour_of_packages(packages.versions)
    return Facts(
        machine=system.machine,
        python=system.python or packages.versions.get("python") or UNKNOWN,
        packages=packages.versions,
        duplicates=packages.duplicates,
        urls=packages.urls,
        environment=read_variables(said),
        log=plain,
        logged=logged(text),
        torch_flavour=flavour,
        shell=_shell(plain),
    )


def _from_json(data: Mapping[str, Any], origin: str) -> Facts:
    """The stated facts; those that only the log states fill what is left open."""
    log = data.get("log") or ""
    said = _from_text("\n".join(map(str, log)) if isinstance(log, list) else str(log))
    named = _object(data, "packages", origin).items()
    packages: dict[str, str | None] = {canonicalize_name(str(name)): _version(value) for name, value in named}
    variables = {str(k): "" if v is None else str(v) for k, v in _object(data, "environment", origin).items()}
    stated: Known[str] = flavour_of_packages({**said.packages, **packages}) or said.torch_flavour
    python = data.get("python")
    return Facts(
        machine=_machine(data.get("machine"), said.machine, origin),
        python=str(python) if python else said.python,
        packages={**said.packages, **packages},
        duplicates=said.duplicates,
        urls=said.urls,
        environment={**said.environment, **variables},
        log=said.log,
        torch_flavour=str(data["torch_flavour"]) if data.get("torch_flavour") else stated,
        shell=said.shell,
        lockset=data.get("lockset"),
    )


def _object(data: Mapping[str, Any], key: str, origin: str) -> Mapping[str, Any]:
    value = data.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ReportUnreadableError(origin, f"{key} must be an object")
    return value


def _version(value: Any) -> str | None:
    return None if value is None else str(value).removeprefix("==").removeprefix("v").strip()


def _machine(data: Any, said: Machine, origin: str) -> Machine:
    """The stated machine; a part of it that is missing comes from the log."""
    if data is None:
        return said
    try:
        machine = machine_from_json({"schema": SCHEMA, **data}, origin=f"{origin}: machine")
    except (MachineFileError, TypeError) as error:
        raise ReportUnreadableError(origin, f"machine: {error}") from error
    sides = {name: getattr(said, name) for name in ("nvidia", "amd", "toolchain") if getattr(machine, name) is UNKNOWN}
    return _completed(replace(machine, **sides))


def _completed(machine: Machine) -> Machine:
    """The machine with the capabilities of the devices that it only names."""
    nvidia, amd = machine.nvidia, machine.amd
    if nvidia:
        devices = (_with(device, "compute_capability", capability_of(device.name or "")) for device in nvidia.devices)
        machine = replace(machine, nvidia=replace(nvidia, devices=tuple(devices)))
    if amd:
        targets = (_with(device, "gfx", target_of(device.name or "")) for device in amd.devices)
        machine = replace(machine, amd=replace(amd, devices=tuple(targets)))
    return machine


def _with(device: Device, name: str, value: str | None) -> Device:
    """A device with a value for a fact that is not known of it."""
    return device if getattr(device, name) or value is None else replace(device, **{name: value})


def _shell(text: str) -> Shell:
    """The installer that a text is about: uv where its lists and commands are those of uv."""
    return Shell("uv" if "uv pip" in text or "\nuv " in text or "uv sync" in text else "pip")
