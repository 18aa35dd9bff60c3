"""Which installer works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.installers.failures import InstallerMissingError

if TYPE_CHECKING:
    from verl_env.installers.base import Installer
    from verl_env.installers.options import InstallerName


def choose_installer(name: InstallerName | None) -> Installer:
    """The installer of that name; None takes uv where it is there, else pip.

    Raises:
        InstallerMissingError: the one that was asked for is not there, or too old.
        InstallerSilentError: uv is there and does not answer.
    """
    from verl_env.installers.pip import find_pip  # noqa: PLC0415 (whichever is used)
    from verl_env.installers.uv import find_uv  # noqa: PLC0415

    uv = find_uv() if name != "pip" else None
    if uv is None and name == "uv":
        raise InstallerMissingError("uv")
    return uv or find_pip()
