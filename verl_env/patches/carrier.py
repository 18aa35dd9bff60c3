"""The second carrier: a ``sitecustomize`` in the wheel, which imports the hook and then the one that it hides.

The first carrier, ``verl_env.pth``, is enough; this one is for sites that do not read ``.pth`` files. Debian and Ubuntu
ship a sitecustomize of their own that hides every other one in virtual environments, so it is tried before it stays.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from verl_env.environment.record import record_hash
from verl_env.machine.child import Completed, run
from verl_env.reading import read_text

if TYPE_CHECKING:
    from pathlib import Path as PathType

MODULE = "sitecustomize.py"
MARK = "# verl-env: sitecustomize carrier"
TEXT = f"""\
{MARK}
import sys


def _import_hook():
    try:
        import _verl_env_boot
    except BaseException:
        pass


def _run_next():
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import PathFinder

    here = __file__.rpartition("/")[0]
    spec = PathFinder.find_spec("sitecustomize", [entry for entry in sys.path if entry.rstrip("/") != here])
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(module_from_spec(spec))


_import_hook()
_run_next()
"""

_SECONDS = 60.0
_QUESTION = "import sys; print(getattr(sys.modules.get('sitecustomize'), '__file__', ''))"


def add_carrier(wheel: PathType) -> None:
    """Puts the sitecustomize into a wheel of the runtime, RECORD included."""
    content = TEXT.encode()
    with ZipFile(wheel) as archive:
        entries = {info.filename: archive.read(info) for info in archive.infolist()}
    record = next(name for name in entries if name.endswith(".dist-info/RECORD"))
    line = f"{MODULE},{record_hash(content)},{len(content)}\n".encode()
    entries[record] = line + entries[record]
    with ZipFile(wheel, "w", ZIP_STORED) as archive:
        for name, data in {MODULE: content, **entries}.items():
            info = ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            archive.writestr(info, data)


def foreign(site: PathType) -> PathType | None:
    """A sitecustomize in the directory that is not ours, which the wheel would replace; None where there is none."""
    path = site / MODULE
    if not path.exists() or read_text(path).startswith(MARK):
        return None
    return path


def winner(python: PathType) -> str:
    """The file of the sitecustomize that an interpreter takes; empty where it takes none."""
    outcome = run([str(python), "-c", _QUESTION], deadline=time.monotonic() + _SECONDS)
    return outcome.stdout.decode("utf-8", "replace").strip() if isinstance(outcome, Completed) else ""


def is_ours(file: str) -> bool:
    """Whether a sitecustomize is the carrier."""
    try:
        return read_text(file).startswith(MARK)
    except OSError:
        return False
