"""What asking beforehand may end in."""

from __future__ import annotations

from verl_env.errors import VerlEnvError


class PackagesUnreachable(VerlEnvError):
    """The package index does not answer, and the installer has no other place to get packages from."""

    id = "packages-unreachable"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def message(self) -> str:
        return f"the package index is out of reach: {self.reason}"

    @property
    def hint(self) -> str:
        return (
            "behind a proxy: HTTPS_PROXY; another index: UV_DEFAULT_INDEX, PIP_INDEX_URL; without a network: "
            "--offline, with --wheelhouse DIR where the wheels lie"
        )
