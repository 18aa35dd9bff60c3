"""A checkout of verl that is installed in place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.install.errors import VerlSourceInvalidError
from verl_env.reading import what_is
from verl_env.versions import at_least

if TYPE_CHECKING:
    from verl_env.plans.model import Plan

_BUILD_FILES = ("pyproject.toml", "setup.py")
#: The first setuptools with editable installs by PEP 660, and the first that needs no wheel package for them.
_EDITABLE, _WITHOUT_WHEEL = "64", "70.1"


def check_verl_source(path: Path) -> str:
    """The absolute path of a checkout of verl, once it is one.

    Raises:
        VerlSourceInvalidError: it is not.
    """
    if not path.is_dir():
        raise VerlSourceInvalidError(path, f"it is {what_is(path)}")
    if not (path / "verl" / "__init__.py").is_file():
        raise VerlSourceInvalidError(path, "it has no verl/__init__.py")
    if not any((path / name).is_file() for name in _BUILD_FILES):
        raise VerlSourceInvalidError(path, f"it has neither {_BUILD_FILES[0]} nor {_BUILD_FILES[1]}")
    return str(path.resolve())


def needs_isolation(source: str, plan: Plan) -> bool:
    """Whether the checkout must be built in an environment of its own, which an index or a wheelhouse fills.

    It need not where it is built by setuptools and the lock brings one that is new enough: then nothing is fetched.
    """
    try:
        text = (Path(source) / _BUILD_FILES[0]).read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    backend = re.search(r"""^[ \t]*build-backend[ \t]*=[ \t]*["']([^"']+)""", text, re.MULTILINE)
    if backend is not None and not backend[1].startswith("setuptools.build_meta"):
        return True
    locked = {package.name: package.version for package in plan.packages}
    setuptools = re.match(r"\d+(?:\.\d+)*", locked.get("setuptools", ""))
    if setuptools is None or not at_least(setuptools[0], _EDITABLE):
        return True
    return not (at_least(setuptools[0], _WITHOUT_WHEEL) or "wheel" in locked)
