"""Which C library this host has: its glibc version, or musl, on which none of the wheels run."""

from __future__ import annotations

import os
import time

from verl_env.machine.model import UNKNOWN
from verl_env.machine.plain import digits, leading
from verl_env.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from verl_env.machine.model import Fact
    from verl_env.machine.roots import Roots

_GLIBC = "glibc "
_MUSL = rb"(?m)^Version (\d+\.\d+(?:\.\d+)?)"
_LOADER = "ld-musl-"
_SECONDS = 0.5


@record
class Libc:
    """The C library: one of the two versions is a string, or both are unknown."""

    glibc: Fact[str]
    musl: Fact[str]
    source: str | None


def read_libc(roots: Roots) -> Libc:
    """The C library that this process runs on, asked without starting a process where it is glibc.

    A glibc process says so itself; musl has no such answer and leaves its loader in ``/lib``. A glibc distribution
    with musl installed beside it counts as glibc.
    """
    text = _confstr()
    if version := parse_glibc(text or ""):
        return Libc(version, None, "confstr")
    loaders = [name for name in roots.names("/lib") if name.startswith(_LOADER)] if text is None else []
    if loaders:
        return Libc(None, _musl_version(roots.path(f"/lib/{loaders[0]}")), f"/lib/{loaders[0]}")
    return Libc(UNKNOWN, UNKNOWN, None)


def parse_glibc(text: str) -> str | None:
    """The version ``"2.39"`` of ``"glibc 2.39"``."""
    major, _, rest = text.removeprefix(_GLIBC).partition(".")
    minor = leading(rest)
    return f"{major}.{minor}" if text.startswith(_GLIBC) and digits(major) and minor else None


def parse_musl(output: bytes) -> str | None:
    """The version in what musl's loader prints when it is run without a program."""
    import re  # noqa: PLC0415  (needed on musl alone)

    match = re.search(_MUSL, output)
    return match[1].decode("ascii") if match else None


def _musl_version(loader: str) -> Fact[str]:
    from verl_env.machine import child  # noqa: PLC0415  (needed on musl alone)

    outcome = child.run([loader], deadline=time.monotonic() + _SECONDS)
    version = parse_musl(outcome.stderr) if isinstance(outcome, child.Completed) else None
    return UNKNOWN if version is None else version


def _confstr() -> str | None:
    """What the C library calls itself; None where it does not know the question."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, OSError, ValueError):
        return None
