"""What is asked of an installation: from where, by which installer, for which machine."""

from __future__ import annotations

from verl_env.records import NOTHING, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Literal

    from verl_env.machine.model import Machine

    InstallerName = Literal["uv", "pip"]


@record
class Options:
    """How to install.

    ``cache`` is the directory of downloads that no installer makes; ``build_cache`` that of built components, None for
    one in ``cache``; ``installer`` None takes uv where it is there; ``machine`` is what is installed for, None where
    nobody looked; ``digests`` are those that the environment knows of what has no recorded hash, by
    address; with ``recorded_only`` nothing of that kind is fetched.
    """

    cache: Path
    installer: InstallerName | None = None
    offline: bool = False
    wheelhouse: Path | None = None
    checks: bool = True
    lock_seconds: float = 900.0
    build_cache: Path | None = None
    machine: Machine | None = None
    digests: Mapping[str, str] = NOTHING
    recorded_only: bool = False
