"""What all tests share: no timed property tests (a busy host is no fault), no configuration, a compiler.

``HYPOTHESIS_PROFILE=thorough`` tries more examples of each property.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("usual", deadline=None, max_examples=40)
settings.register_profile("thorough", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))

# Where bytecode is not to be kept, each interpreter that a test starts compiles all of verl-env again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

Compile = Callable[..., Path]
#: What makes environments, builds, or starts servers: a test that asks for one is slow.
SLOW = {"bench", "compile_so", "house", "index", "plain", "snapshots", "world", "yard"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SLOW & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders that are not there yet, one a test."""
    root = tmp_path_factory.mktemp("homes")
    return (root / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch: pytest.MonkeyPatch, homes: Iterator[Path]) -> None:
    """What is configured on this host, and what was taken on it before, has no say."""
    home = next(homes)
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.setenv("VERL_ENV_CONFIG", os.devnull)
    monkeypatch.setenv("XDG_CONFIG_DIRS", os.devnull)


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
