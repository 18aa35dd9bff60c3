"""Bundles as text and as JSON, and the progress of one that is made or checked."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from verl_env.sizes import human

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from rich.console import Console

    from verl_env.bundle.model import File, Manifest, NativeWay
    from verl_env.bundle.outline import Outline
    from verl_env.plans.model import Plan

#: Seconds between two states on a terminal, and where there is none.
_REDRAW, _TOLD = 0.2, 10.0


class BundleProgress:
    """Tells of bytes that come: how many of how many, how fast, and how long it will still take. Threads share it."""

    def __init__(self, console: Console, verb: str = "fetched") -> None:
        self._console = console
        self._verb = verb
        self._lock = threading.Lock()
        self._files = self._expected_files = self._bytes = self._expected = 0
        self._started = self._told = time.monotonic()
        self._open = False

    def expect(self, files: int, size: int) -> None:
        """So many files and bytes are to come."""
        with self._lock:
            self._expected_files += files
            self._expected += size

    def bytes(self, count: int) -> None:
        """Bytes that came, or negative those that were dropped."""
        with self._lock:
            self._bytes += count
            now = time.monotonic()
            if now - self._told >= (_REDRAW if self._console.is_terminal else _TOLD):
                self._told = now
                self._tell(now)

    def done(self, name: str) -> None:
        """A file is whole."""
        del name
        with self._lock:
            self._files += 1

    def note(self, message: str) -> None:
        """Something worth a line."""
        with self._lock:
            self._clear()
            self._console.print(message, markup=False)

    def end(self) -> None:
        """All is there."""
        with self._lock:
            self._clear()
            seconds = time.monotonic() - self._started
            self._console.print(f"{self._verb} {human(self._bytes)} in {seconds:.1f} s", markup=False)

    def _tell(self, now: float) -> None:
        rate = self._bytes / max(now - self._started, 0.001)
        left = max(self._expected - self._bytes, 0) / rate if rate > 0 else 0.0
        files = f", {self._files} of {self._expected_files} files" if self._verb == "fetched" else ""
        line = (
            f"{human(max(self._bytes, 0))} of {human(self._expected)}{files}, {human(int(rate))}/s, {_clock(left)} left"
        )
        if self._console.is_terminal:
            self._console.file.write(f"\r\x1b[K{line}")
            self._console.file.flush()
            self._open = True
        else:
            self._console.print(line, markup=False)

    def _clear(self) -> None:
        if self._open:
            self._console.file.write("\r\x1b[K")
            self._open = False


def outline(console: Console, plans: Sequence[Plan], outlined: Outline, *, verbose: bool) -> None:
    """What a bundle would hold."""
    for plan, natives in zip(plans, outlined.natives, strict=True):
        _plan_line(console, plan.stack, plan.lockset.id, plan.python, plan.arch)
        _natives(console, natives)
    packages = outlined.with_role("package")
    console.print(
        f"{len(packages)} files of the index, {human(sum(each.bytes for each in packages))}; "
        f"with all else {len(outlined.fetches)} files, {human(outlined.bytes)}",
        markup=False,
    )
    if verbose:
        for fetch in outlined.fetches:
            console.print(f"  {human(fetch.bytes):>9}  {fetch.path}", markup=False)


def outline_json(plans: Sequence[Plan], outlined: Outline) -> dict[str, Any]:
    """What a bundle would hold, as JSON."""
    packages = outlined.with_role("package")
    return {
        "schema": 1,
        "files": len(outlined.fetches),
        "bytes": outlined.bytes,
        "index_files": len(packages),
        "index_bytes": sum(each.bytes for each in packages),
        "locksets": [plan.lockset.id for plan in plans],
        "plans": [
            {
                "stack": plan.stack,
                "lockset": plan.lockset.id,
                "python": plan.python,
                "arch": plan.arch,
                "native": [_native_json(way) for way in natives],
            }
            for plan, natives in zip(plans, outlined.natives, strict=True)
        ],
        "items": [
            {
                "name": each.name,
                "version": each.version,
                "file": each.path,
                "bytes": each.bytes,
                "sha256": each.sha256,
                "role": each.role,
            }
            for each in outlined.fetches
        ],
    }


def manifest(console: Console, held: Manifest, path: Path, *, verbose: bool, verified: bool) -> None:
    """What a bundle holds and is for."""
    for plan in held.plans:
        _plan_line(console, plan.stack, plan.lockset, plan.python, plan.arch)
        _natives(console, plan.natives)
        if plan.glibc is not None:
            console.print(f"  glibc {plan.glibc} or newer", markup=False)
    packages = held.with_role("package")
    sizes = f"{len(packages)} files of the index, {human(sum(each.bytes for each in packages))}; "
    sizes += f"with all else {len(held.files)} files, {human(held.bytes)}"
    console.print(sizes + ("; each is as the manifest says" if verified else ""), markup=False)
    if verbose:
        for file in sorted(held.files, key=lambda each: (-each.bytes, each.path)):
            console.print(f"  {human(file.bytes):>9}  {file.path}", markup=False)
    console.print(f"verl-env {held.tool} for Python {', '.join(held.tool_pythons)}; on the other host:", markup=False)
    for line in how_to_use(path):
        console.print(f"  {line}", markup=False)


def how_to_use(path: Path) -> tuple[str, ...]:
    """The commands on a host without a network."""
    if path.suffix == ".tar":
        first = f"tar -xOf {path} make-verl-env.py | python3 - ./verl-env {path}"
    else:
        first = f"python3 {path}/make-verl-env.py ./verl-env"
    return first, f"./verl-env/bin/verl-env install --offline --wheelhouse {path} --into .venv"


def manifest_json(held: Manifest, path: Path, *, verified: bool) -> dict[str, Any]:
    """What a bundle holds, as JSON."""
    packages = held.with_role("package")
    return {
        "schema": 1,
        "path": str(path),
        "verified": verified,
        "files": len(held.files),
        "bytes": held.bytes,
        "index_files": len(packages),
        "index_bytes": sum(each.bytes for each in packages),
        "locksets": [plan.lockset for plan in held.plans],
        "verl_env": held.tool,
        "tool_pythons": list(held.tool_pythons),
        "plans": [
            {
                "stack": plan.stack,
                "lockset": plan.lockset,
                "python": plan.python,
                "arch": plan.arch,
                "glibc": plan.glibc,
                "native": [_native_json(way) for way in plan.natives],
                "machine": dict(plan.machine),
            }
            for plan in held.plans
        ],
        "items": [_item(file) for file in held.files],
        "use": list(how_to_use(path)),
    }


def _item(file: File) -> dict[str, Any]:
    return {
        "name": file.name,
        "version": file.version,
        "file": file.path,
        "bytes": file.bytes,
        "sha256": file.sha256,
        "role": file.role,
    }


def _native_json(way: NativeWay) -> dict[str, str]:
    return {"name": way.name, "version": way.version, "how": way.how, "detail": way.detail}


def _plan_line(console: Console, stack: str, lockset: str, python: str, arch: str) -> None:
    console.print(f"{lockset} for {stack}, Python {python}, {arch}", markup=False)


def _natives(console: Console, natives: Sequence[NativeWay]) -> None:
    words = {
        "prebuilt": "its wheel",
        "build": "its source, to be built there",
        "built": "built here",
        "skip": "not in it",
    }
    for way in natives:
        console.print(f"  {way.name} {way.version}: {words.get(way.how, way.how)} ({way.detail})", markup=False)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
