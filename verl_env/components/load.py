"""The catalogue of native components, as every command reads it.

``components.json`` beside the folder ``components`` holds the contents of its TOML files, because reading it takes a
tenth of the time of importing a TOML parser. As with locksets, each entry carries the checksum of its file, and a file
that differs is parsed instead. A component becomes an object only when somebody asks for it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from zlib import crc32

from verl_env.components import decode
from verl_env.components.errors import ComponentInvalidError
from verl_env.components.fetched import fetched_folder
from verl_env.components.model import Catalogue
from verl_env.constraints import VARIABLE, constraints_folder, parse_toml, read_bytes
from verl_env.shapes import FieldError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any, TypeVar

    from verl_env.components.model import Component

    T = TypeVar("T")

FOLDER = "components"
COMPILED = "components.json"
TOOLCHAIN = "toolchain"
SUFFIX = ".toml"


def load_catalogue(root: Path | None = None) -> Catalogue:
    """All native components; none where the folder of constraints has no catalogue.

    Args:
        root: The folder of constraints; None for that of ``catalogue_root``. Components are read from it when they
            are asked for.

    Raises:
        ComponentInvalidError: a file cannot be read; of a component, when it is asked for.
    """
    folder = os.path.join(catalogue_root() if root is None else root, FOLDER)  # noqa: PTH118 pathlib is slower
    files = component_files(folder)
    compiled = _compiled(f"{folder[: -len(FOLDER)]}{COMPILED}")
    tables: tuple[tuple[Any, ...], ...] = ((), (), (), ())
    if TOOLCHAIN in files:
        tables = _object(files.pop(TOOLCHAIN), compiled.get(TOOLCHAIN), decode.toolchain)
    return Catalogue(_Components(files, compiled), *tables)


def catalogue_root() -> str:
    """The folder of the catalogue in force: a fetched one of this release, else that of ``constraints_folder``."""
    fetched = "" if os.environ.get(VARIABLE) else fetched_folder()
    return fetched if fetched and os.path.isdir(fetched) else constraints_folder()  # noqa: PTH112 as above


def component_files(folder: str | Path) -> dict[str, str]:
    """Name to path of every TOML file in the folder, by name."""
    try:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.path) for entry in entries if entry.name.endswith(SUFFIX)]
    except OSError:
        return {}
    return {name[: -len(SUFFIX)]: path for name, path in sorted(found)}


class _Components(Mapping[str, "Component"]):
    """The components by name, each decoded once, when it is asked for."""

    def __init__(self, files: dict[str, str], compiled: dict[str, dict[str, Any]]) -> None:
        self._files = files
        self._compiled = compiled
        self._known: dict[str, Component] = {}

    def __getitem__(self, name: str) -> Component:
        if name not in self._known:
            file = self._files[name]
            component = _object(file, self._compiled.get(name), decode.component)
            if component.name != name:
                raise ComponentInvalidError(file, "name", f"must be its file's, {name}, not {component.name}")
            self._known[name] = component
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def _object(file: str, entry: dict[str, Any] | None, decoder: Callable[[object], T]) -> T:
    """What one file describes, by its compiled entry where that is of the file as it is."""
    try:
        fresh = entry is not None and entry["crc32"] == crc32(read_bytes(file))
        return decoder(entry["table"] if entry and fresh else parse_toml(file))
    except FieldError as error:
        raise ComponentInvalidError(file, error.key, error.reason) from None
    except (OSError, ValueError) as error:
        raise ComponentInvalidError(file, "", str(error)) from error


def _compiled(file: str) -> dict[str, dict[str, Any]]:
    """The entries of components.json; none where it is missing or of another form."""
    try:
        table = json.loads(read_bytes(file))
        entries = table["files"] if table["schema"] == decode.SCHEMA else {}
        return {name: entry for name, entry in entries.items() if entry.keys() == {"crc32", "table"}}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
