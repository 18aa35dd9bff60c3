"""Where uv is: for installing and for locking, which know nothing of each other."""

from __future__ import annotations

import os
import sys


def uv_program() -> str | None:
    """The path of uv: of its package beside verl-env, else beside this Python, else on PATH; None where it is not."""
    return _of_package() or _beside_python() or _on_path()


def _of_package() -> str | None:
    try:
        from uv import find_uv_bin  # noqa: PLC0415 (an extra)

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        return None


def _beside_python() -> str | None:
    beside = os.path.join(os.path.dirname(sys.executable), "uv")  # noqa: PTH118, PTH120 (as the start-up path has it)
    return beside if os.access(beside, os.X_OK) else None


def _on_path() -> str | None:
    from shutil import which  # noqa: PLC0415

    return which("uv")
