"""Environments and shared objects that tests make for themselves."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

import pytest

from tests.doctor.stack import Stack, whole_stack

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Compile


class Environment:
    """A small virtual environment on disk, without an interpreter."""

    def __init__(self, prefix: Path, python: str = "3.10") -> None:
        self.prefix = prefix
        self.site = prefix / "lib" / f"python{python}" / "site-packages"
        self.site.mkdir(parents=True)
        (prefix / "bin").mkdir()
        (prefix / "pyvenv.cfg").write_text(
            f"home = /nowhere/bin\ninclude-system-site-packages = false\nversion = {python}.4\n"
        )

    def add(
        self,
        name: str,
        version: str,
        files: dict[str, bytes] | None = None,
        requires: tuple[str, ...] = (),
        **more: str,
    ) -> Path:
        """Installs a distribution with a RECORD of its files."""
        info = self.site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *(f"Requires-Dist: {r}" for r in requires)]
        (info / "METADATA").write_text("\n".join(lines) + "\n\nBody: no header\n")
        (info / "WHEEL").write_text(f"Wheel-Version: 1.0\nTag: {more.get('tag', 'py3-none-any')}\n")
        (info / "INSTALLER").write_text("uv\n")
        if "direct_url" in more:
            (info / "direct_url.json").write_text(more["direct_url"])
        for path, content in (files or {}).items():
            target = self.site / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        self.record(info, list(files or {}))
        return info

    def record(self, info: Path, paths: list[str]) -> None:
        """Writes the RECORD of a distribution from files that are there."""
        rows = [
            f"{path},{digest((self.site / path).read_bytes())},{(self.site / path).stat().st_size}" for path in paths
        ]
        (info / "RECORD").write_text("\n".join([*rows, f"{info.name}/RECORD,,"]) + "\n")


def digest(content: bytes) -> str:
    """A hash as RECORD writes it."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path / "env")


@pytest.fixture
def stack(environment: Environment, compile_so: Compile) -> Stack:
    return whole_stack(environment, compile_so)
