"""Where a catalogue lies that was fetched since the release; beside the code that reads it, as every plan asks.

    $XDG_DATA_HOME/verl-env/catalogue/RELEASE -> RELEASE.N    what is in force for this release of verl-env
    .../RELEASE.N/components/*.toml, components.json          as in the folder ``constraints``
    .../RELEASE.N/origin.json                                 from where, when, until when

A new release of verl-env comes with its own catalogue and looks at no older one.
"""

from __future__ import annotations

import os

from verl_env import __version__

ORIGIN = "origin.json"


def fetched_folder() -> str:
    """The folder of this release's fetched catalogue, which need not be there."""
    base = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")  # noqa: PTH111 (a plan needs no pathlib)
    return f"{base}/verl-env/catalogue/{__version__}"
