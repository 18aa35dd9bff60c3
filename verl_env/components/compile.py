"""``components.json``, made from the TOML files beside it: ``python -m verl_env.components.compile`` writes it."""

from __future__ import annotations

import json
from pathlib import Path
from zlib import crc32

from verl_env.components.decode import SCHEMA
from verl_env.components.errors import ComponentInvalidError
from verl_env.components.families import check_rows
from verl_env.components.load import COMPILED, FOLDER, component_files, load_catalogue
from verl_env.constraints import constraints_directory, parse_toml
from verl_env.shapes import FieldError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from verl_env.components.model import Component


def compiled_text(root: Path) -> str:
    """The text of components.json for a folder of constraints.

    Raises:
        ComponentInvalidError: a file cannot be read, or does not say what it must.
    """
    entries = {}
    for name, path in component_files(root / FOLDER).items():
        file = Path(path)
        try:
            entries[name] = {"crc32": crc32(file.read_bytes()), "table": parse_toml(file)}
        except (OSError, ValueError) as error:
            raise ComponentInvalidError(file, "", str(error)) from error
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(entry, ensure_ascii=False)}" for name, entry in entries.items()
    )
    return f'{{"schema": {SCHEMA}, "files": {{\n{lines}\n}}}}\n'


def stale(root: Path) -> bool:
    """Whether components.json is not what the TOML files give; a folder with neither is whole."""
    file = root / COMPILED
    if not file.is_file():
        return bool(component_files(root / FOLDER))
    return file.read_text(encoding="utf-8") != compiled_text(root)


def write_compiled(root: Path) -> None:
    """Writes components.json, after every component has been decoded.

    Raises:
        ComponentInvalidError: as ``compiled_text``.
    """
    catalogue = load_catalogue(root)
    for name in catalogue.components:
        _check(name, root, catalogue.components[name])
    draft = root / f".{COMPILED}.draft"
    draft.write_text(compiled_text(root), encoding="utf-8")
    draft.replace(root / COMPILED)


def _check(name: str, root: Path, component: Component) -> None:
    """What a component says lazily must be right too."""
    try:
        for release in component.releases:
            for family in release.families:
                check_rows(family)
    except FieldError as error:
        raise ComponentInvalidError(root / FOLDER / f"{name}.toml", error.key, error.reason) from None


if __name__ == "__main__":
    write_compiled(constraints_directory())
