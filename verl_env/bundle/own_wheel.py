"""verl-env as a wheel, made from the files that are running: the same bytes each time for the same files.

A checkout and an installation give the same wheel, and nothing of the network is asked.
"""

from __future__ import annotations

import email
import io
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import verl_env
from verl_env.constraints import constraints_directory
from verl_env.environment.record import record_hash

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "verl-env"
_PACKAGE = Path(verl_env.__file__).parent
_WHEEL = "Wheel-Version: 1.0\nGenerator: verl-env\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
#: What of the metadata of an installation is true of a wheel; RECORD, INSTALLER and the like are of that installation.
_KEPT = ("METADATA",)


def file_name() -> str:
    """The name of the wheel."""
    return f"verl_env-{verl_env.__version__}-py3-none-any.whl"


def wheel() -> bytes:
    """The wheel of verl-env as it runs.

    Raises:
        PackageNotFoundError: it is not installed, so that nobody can say what it depends on.
        OSError: a file of it cannot be read.
    """
    info = f"verl_env-{verl_env.__version__}.dist-info"
    contents = dict(sorted(_package())) | {f"{info}/{name}": data for name, data in _metadata(distribution(NAME))}
    contents[f"{info.removesuffix('dist-info')}data/scripts/{NAME}"] = (_PACKAGE / "launch.sh").read_bytes()
    contents[f"{info}/WHEEL"] = _WHEEL.encode()
    lines = [f"{name},{record_hash(data)},{len(data)}" for name, data in contents.items()]
    contents[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,", ""]).encode()
    out = io.BytesIO()
    with ZipFile(out, "w", ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            entry = ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            # pip makes a script executable only where the wheel says so.
            entry.external_attr = (0o100755 if "/scripts/" in name else 0o100644) << 16
            entry.compress_type = ZIP_DEFLATED
            archive.writestr(entry, data)
    return out.getvalue()


def _package() -> Iterator[tuple[str, bytes]]:
    """Every file of the package, with the locksets where a wheel has them."""
    inside = _PACKAGE / "constraints"
    for path in _files(_PACKAGE):
        if not path.is_relative_to(inside):
            yield f"verl_env/{path.relative_to(_PACKAGE).as_posix()}", path.read_bytes()
    data = constraints_directory()
    for path in _files(data):
        yield f"verl_env/constraints/{path.relative_to(data).as_posix()}", path.read_bytes()


def _files(root: Path) -> Iterator[Path]:
    for path in root.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            yield path


def _metadata(installed: Distribution) -> Iterator[tuple[str, bytes]]:
    for name in _KEPT:
        text = installed.read_text(name)
        if text is None:
            continue
        if name == "METADATA":
            message = email.message_from_string(text)
            message.replace_header("Version", verl_env.__version__)
            text = message.as_string()
        yield name, text.encode()
