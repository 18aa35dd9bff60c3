"""A first configuration file: the directories that the user names, and nothing guessed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from verl_env.settings.errors import ConfigFilePresentError, ConfigUnreadableError

if TYPE_CHECKING:
    from pathlib import Path

_HEAD = "# Configuration of verl-env; see docs/hpc.md. Variables such as $SCRATCH and ~ are replaced.\n"


def write_initial(file: Path, values: dict[str, str]) -> str:
    """Writes a configuration file that is not there yet; gives its text.

    Raises:
        ConfigFilePresentError: there is one.
        ConfigUnreadableError: it cannot be written.
    """
    # A basic string of TOML is written as one of JSON, but for DEL, which no path has.
    text = _HEAD + "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items())
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError as error:
        raise ConfigFilePresentError(file) from error
    except OSError as error:
        raise ConfigUnreadableError(file, error.strerror or str(error)) from error
    return text
