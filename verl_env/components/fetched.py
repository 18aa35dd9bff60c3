"""Where a catalogue lies that was fetched since the release; beside the code that reads it, as every plan asks.

    $XDG_DATA_HOME/verl-env/catalogue/RELEASE -> RELEASE.N    what is in force for this release of verl-env
    .../RELEASE.N/components/*.toml, components.json          as in the folder ``constraints``
    .../RELEASE.N/origin.json                                 from where, when, until when

A new release of verl-env comes with its own catalogue and looks at no older one.
"""

from __future__ import annotations

from verl_env import __version__
from verl_env.places import user_folder

ORIGIN = "origin.json"


def fetched_folder() -> str:
    """The folder of this release's fetched catalogue, which need not be there."""
    return f"{user_folder('XDG_DATA_HOME')}/verl-env/catalogue/{__version__}"
