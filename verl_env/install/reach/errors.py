"""What asking beforehand may end in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.errors import VerlEnvError

if TYPE_CHECKING:
    from collections.abc import Mapping


class PackagesUnreachableError(VerlEnvError):
    """The package index does not answer, and the installer has no other place to get packages from."""

    id = "packages-unreachable"
    reason: str
    says = "the package index is out of reach: {reason}"
    helps = (
        "behind a proxy: HTTPS_PROXY; another index: UV_DEFAULT_INDEX, PIP_INDEX_URL; without a network: "
        "--offline, with --wheelhouse DIR where the wheels lie"
    )


class PackageUnknownError(VerlEnvError):
    """What was asked for beside the stack is on no index that the installer looks into."""

    id = "package-unknown"
    reasons: Mapping[str, str]

    @property
    def message(self) -> str:
        return "; ".join(f"no index has {name} ({reason})" for name, reason in self.reasons.items())

    @property
    def hint(self) -> str:
        names = " ".join(f"--with {name}" for name in self.reasons)
        return f"look at the spelling of {names}; of a project elsewhere: --with 'NAME @ ADDRESS', or UV_INDEX"
