"""What all tests share: property tests are not timed (a busy host is no fault), and a compiler of shared objects."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

Compile = Callable[..., Path]


@pytest.fixture
def compile_so(tmp_path: Path) -> Compile:
    """Compiles C into a shared object; skips where there is no gcc."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")

    def build(path: Path, source: str, *flags: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        code = tmp_path / f"{path.name}.c"
        code.write_text(source)
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(path), str(code), *flags], check=True)
        return path

    return build
