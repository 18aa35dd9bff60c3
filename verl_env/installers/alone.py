"""Offline with a wheelhouse: no variable and no file of the host tells installers and builds of another place."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from verl_env.environment.pins import address
from verl_env.installers.isolation import changed
from verl_env.installers.uv import cache_of_uv

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verl_env.installers.options import Options

#: What else names a place to get files from, or a file that may.
_OTHER_PLACES = (
    *("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL"),
    *("UV_FIND_LINKS", "UV_CONFIG_FILE"),
)


@contextlib.contextmanager
def wheelhouse_alone(options: Options) -> Iterator[None]:
    """Meanwhile children see the wheelhouse and nothing else; nothing changes where an index may be asked."""
    if not options.offline or options.wheelhouse is None:
        yield
        return
    wheels = options.wheelhouse.absolute()
    # A pip that a build starts (setup_requires) is told by these alone: as an index, a directory answers that it has
    # nothing, where none would mean the one on the web. uv's cache stays where its own files put it.
    told = {"UV_NO_CONFIG": "1", "PIP_CONFIG_FILE": os.devnull}
    told |= {"PIP_FIND_LINKS": address(wheels), "PIP_INDEX_URL": wheels.as_uri()}
    cache = None if os.environ.get("UV_CACHE_DIR") else cache_of_uv()
    with changed({**told, **({"UV_CACHE_DIR": cache} if cache else {})}, without=_OTHER_PLACES):
        yield
