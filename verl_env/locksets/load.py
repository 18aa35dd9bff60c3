"""Reading what ``verl-env lock`` wrote: lockset.toml and the hashed constraints files."""

from __future__ import annotations

import os

from verl_env import records
from verl_env.constraints import parse_toml, read_bytes
from verl_env.locksets import model
from verl_env.locksets.errors import LockFileChangedError, LockFileInvalidError, LocksetInvalidError
from verl_env.shapes import (
    FieldError,
    count,
    flag,
    many,
    mapping,
    moment,
    number,
    one_of,
    sha256,
    shape,
    shared,
    text,
    texts,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Any

    from verl_env.locksets.model import Lockset, Package, PythonLock

#: Version of the form of lockset.toml.
SCHEMA = 1

LOCKSET_FILE = "lockset.toml"

NOTHING: tuple[object, ...] = ()

variant = shape(model.Variant, {"path": text, "commit": text, "date": moment, "facts_id": text})
driver = shape(model.DriverNeed, {"minimum": number, "source": text}, {"toolkit": (number, None)})
gpu = shape(
    model.GpuNeed,
    {"component": text, "targets": texts, "ptx": flag, "source": text},
    {"minimum": (text, None)},
)
glibc = shape(model.GlibcNeed, {"minimum": number, "source": text})
requires = shape(
    model.Requirements,
    {"arch": texts, "gpu": many(shared(gpu))},
    {"glibc": (shared(glibc), None), "driver": (shared(driver), None), "rocm": (many(number), NOTHING)},
)
native = shape(
    model.Native,
    {"name": text, "version": text, "reason": text},
    {"needed_for": (texts, NOTHING), "env": (mapping, records.NOTHING)},
)
unmet = shape(model.Unmet, {"package": text, "requires": text, "installed": text, "reason": text})
python_lock = shape(
    model.PythonLock,
    {
        "python": number,
        "file": text,
        "sha256": sha256,
        "packages": count,
        "download_bytes": count,
        "disk_bytes": count,
    },
    {"unmet": (many(shared(unmet)), NOTHING)},
)
deviation = shape(model.Deviation, {"package": text, "recipe": text, "locked": text, "reason": text})
install = shape(
    model.Install,
    {"date": moment, "python": number, "seen": text},
    {"left_out": (texts, NOTHING), "natives": (mapping, records.NOTHING), "note": (text, None)},
)
proof = shape(
    model.Proof,
    {"date": text, "python": number, "ok": flag, "parts": mapping, "natives": mapping},
    {"gpu": (text, None), "gpus": (count, 0), "driver": (number, None)},
)
check = shape(model.SmokeTest, {"id": text, "code": text}, {"needs": (one_of("gpu"), None)})

#: The keys that lockset.toml shares with recipe.toml.
IDENTITY = {
    "id": text,
    "variant": variant,
    "family": number,
    "verl": text,
    "order": count,
    "preview": flag,
    "accelerator": one_of("cuda", "rocm"),
    "torch": text,
    "provides": texts,
    "engines": mapping,
    "requires": requires,
    "env": mapping,
    "checks": many(shared(check)),
}
IDENTITY_OPTIONAL = {
    "cuda": (number, None),
    "rocm": (number, None),
    "natives": (many(shared(native)), NOTHING),
    "deviations": (many(shared(deviation)), NOTHING),
    "notes": (texts, NOTHING),
    "build_constraints": (texts, NOTHING),
    "planned": (text, None),
}
#: What ``evidence`` makes of the files beside a recipe.
_TRIED = {
    "installed": (many(number), NOTHING),
    "installs": (many(install), NOTHING),
    "proofs": (many(proof), NOTHING),
}
_lockset = shape(
    model.Lockset,
    {**IDENTITY, "pythons": many(python_lock), "tier": one_of("recorded", "planned", "locked", "installed", "proven")},
    {**IDENTITY_OPTIONAL, **_TRIED},
)


def read_toml(file: str | Path) -> dict[str, Any]:
    """The table of a TOML file.

    Raises:
        LocksetInvalidError: it cannot be read, or is no TOML.
    """
    try:
        return parse_toml(file)
    except (OSError, ValueError) as error:
        raise LocksetInvalidError(file, "", str(error)) from error


def lockset_from(table: dict[str, Any], file: str | Path) -> Lockset:
    """The lockset that a decoded lockset.toml describes; ``file`` is where it was read, for errors.

    Raises:
        LocksetInvalidError: a key is missing, unknown or of the wrong form, or the id is not the file's folder.
    """
    fields = dict(table)
    schema = fields.pop("schema", None)
    if schema != SCHEMA:
        raise LocksetInvalidError(file, "schema", f"must be {SCHEMA}, not {schema!r}")
    try:
        lockset = _lockset(fields)
    except FieldError as error:
        raise LocksetInvalidError(file, error.key, error.reason) from None
    folder = folder_id(file)
    if lockset.id != folder:
        raise LocksetInvalidError(file, "id", f"must be its folder, {folder}, not {lockset.id}")
    return lockset


def folder_id(file: str | Path) -> str:
    """The id that a lockset has by where its file is: the last two folders."""
    return "/".join(os.fspath(file).split("/")[-3:-1])


def load_lockset(file: str | Path) -> Lockset:
    """The lockset of one lockset.toml.

    Raises:
        LocksetInvalidError: as ``lockset_from``, or the file cannot be read.
    """
    return lockset_from(read_toml(file), file)


_ENTRY = (
    r"(?P<name>[a-z0-9]+(?:-[a-z0-9]+)*)(?:==(?P<version>[^ \\\n]+)| @ (?P<url>[^ \\\n]+))"
    r"(?: \\\n(?P<hashes>(?:    --hash=sha256:[0-9a-f]{64} \\\n)*    --hash=sha256:[0-9a-f]{64}))?\n"
    r"    # (?P<source>wheel|sdist)"
    r"(?:; version (?P<of_url>[^;\n]+))?"
    r"(?:; index (?P<index>[^;\n ]+))?"
    r"(?P<unrecorded>; hash-unrecorded)?"
    r"(?:; (?P<download>\d+) bytes)?"
    r"(?:; (?P<disk>\d+) unpacked)?"
    r"(?:; uploaded (?P<uploaded>[0-9TZ:-]+))?\n"
)


def load_packages(lockset_dir: str | Path, lock: PythonLock, *, verify: bool = True) -> tuple[Package, ...]:
    """The packages of one constraints file and of those that it includes, by name.

    Args:
        lockset_dir: the folder of lockset.toml.
        lock: which of the lockset's Pythons.
        verify: whether their hash must be that in lockset.toml.

    Raises:
        LockFileInvalidError: a file cannot be read, or not as ``verl-env lock`` writes it.
        LockFileChangedError: they are not the files that lockset.toml was written with.
    """
    parts = lock_parts(lockset_dir, lock.file)
    if verify and (actual := digest_of(parts.values())) != lock.sha256:
        raise LockFileChangedError(os.path.join(lockset_dir, lock.file), lock.sha256, actual)  # noqa: PTH118
    packages: dict[str, Package] = {}
    for name, content in parts.items():
        file = os.path.join(lockset_dir, name)  # noqa: PTH118
        if name != lock.file and includes(content):
            raise LockFileInvalidError(file, 0, f"{lock.file} includes it, and it includes another")
        for package in parse_packages(content.decode(errors="replace"), file):
            if packages.setdefault(package.name, package) is not package:
                raise LockFileInvalidError(file, 0, f"{package.name} is in another file of {lock.file} too")
    return tuple(packages[name] for name in sorted(packages))


def lock_parts(lockset_dir: str | Path, name: str) -> dict[str, bytes]:
    """The contents of a constraints file and of those that it includes, by name; its own is first.

    Raises:
        LockFileInvalidError: one cannot be read, or is no neighbour of the first.
    """
    parts: dict[str, bytes] = {}
    wanted = [name]
    for each in wanted:
        file = os.path.join(lockset_dir, each)  # noqa: PTH118 pathlib takes 3 ms to load
        if not each or "/" in each or each in parts:
            raise LockFileInvalidError(os.path.join(lockset_dir, name), 0, f"cannot include {each!r}")  # noqa: PTH118
        try:
            parts[each] = read_bytes(file)
        except OSError as error:
            raise LockFileInvalidError(file, 0, str(error.strerror)) from error
        wanted += includes(parts[name]) if each == name else []
    return parts


def includes(content: bytes) -> list[str]:
    """The names of the files that a constraints file includes, which stand in its head."""
    names = []
    for line in content.splitlines():
        if line.startswith(b"-r "):
            names.append(line[3:].decode(errors="replace"))
        elif not line.startswith(b"#"):
            break
    return names


def digest_of(parts: Iterable[bytes]) -> str:
    """The SHA-256 of a constraints file, that of its parts one after another."""
    from hashlib import sha256 as digest  # noqa: PLC0415 2 ms, and only here

    return digest(b"".join(parts)).hexdigest()


def parse_packages(content: str, file: str | Path) -> tuple[Package, ...]:
    """The packages of the text of a constraints file; ``file`` names it in errors.

    Raises:
        LockFileInvalidError: a line is none that ``verl-env lock`` writes.
    """
    import re  # noqa: PLC0415 compiling the pattern is the dearest part of reading a catalogue, which needs none

    entry = re.compile(_ENTRY)
    position = 0
    while content.startswith(("#", "-r "), position):
        position = content.find("\n", position) + 1 or len(content)
    packages = []
    while match := entry.match(content, position):
        if not match["hashes"] and not (match["unrecorded"] and (match["url"] or match["index"])):
            break
        packages.append(_package(match))
        position = match.end()
    if position != len(content):
        line = content.count("\n", 0, position) + 1
        raise LockFileInvalidError(file, line, "is no package as verl-env lock writes it")
    return tuple(packages)


def _package(match: re.Match[str]) -> Package:
    name, version, url, hashes, source, of_url, index, _, download, disk, uploaded = match.groups()
    return model.Package(
        name=name,
        version=version or of_url or "",
        hashes=tuple(part[7:] for part in (hashes or "").split() if part != "\\"),
        source="sdist" if source == "sdist" else "url" if url or index else "index",
        url=url or index,
        uploaded=uploaded,
        download_bytes=int(download) if download else None,
        disk_bytes=int(disk) if disk else None,
    )
