"""Fake roots for probes: files, programs, and the captures of real machines where a checkout has them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from verl_env.machine.roots import Roots

if TYPE_CHECKING:
    from collections.abc import Mapping

CAPTURES = Path(__file__).parents[2].parent / "shared/facts/captures"
FIXTURES = Path(__file__).parent / "fixtures"


def plant(root: Path, files: Mapping[str, str | bytes]) -> Roots:
    """A root with these files; a name that ends in a slash is an empty directory."""
    for name, content in files.items():
        path = root / name.lstrip("/")
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Roots(root)


def program(root: Path, name: str, stdout: str = "", *, stderr: str = "", code: int = 0, script: str = "") -> Path:
    """An executable that prints, then runs ``script``, then ends with ``code``."""
    path = root / name.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["#!/bin/sh", f"printf %s {shlex.quote(stdout)}", f"printf %s {shlex.quote(stderr)} >&2", script]
    path.write_text("\n".join([*filter(None, lines), f"exit {code}", ""]))
    path.chmod(0o755)
    return path


def capture(name: str) -> str:
    """A capture of a real machine; the test is skipped where the checkout has none."""
    path = CAPTURES / name
    if not path.exists():
        pytest.skip("no captures beside this checkout")
    return path.read_text(encoding="utf-8", errors="replace")


def capture_names(pattern: str) -> list[str]:
    """The captures of a kind; one name that will be skipped where there are none."""
    return sorted(path.name for path in CAPTURES.glob(pattern)) or ["absent"]


def fixture(name: str) -> str:
    """A fixture of the project's own."""
    return (FIXTURES / name).read_text(encoding="utf-8")
