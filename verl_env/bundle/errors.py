"""What can be wrong with a bundle, or with the making or the use of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verl_env.errors import EXIT_MISUSE, VerlEnvError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

#: Names of one kind that a message lists; the JSON document has all.
LISTED = 10


class BundleInvalidError(VerlEnvError):
    """A directory or file that is no bundle: it has no manifest, or one that this verl-env cannot read."""

    id = "bundle-invalid"
    exit_code = EXIT_MISUSE
    path: Path
    reason: str
    says = "{path} is no bundle that can be used: {reason}"
    helps = "make one where there is a network: verl-env bundle --stack vllm -o {path.name!q}"


class BundleDamagedError(VerlEnvError):
    """A bundle whose files are not those of its manifest; nothing of it was unpacked or installed.

    Each file is named: *changed* (other contents), *missing*, *added* (not in the manifest), *swapped* (one that has
    the contents of another).
    """

    id = "bundle-damaged"
    path: Path
    faults: Mapping[str, Sequence[str]]
    helps = "carry it over again, or run the verl-env bundle command that made it: only what is wrong is fetched"

    @property
    def message(self) -> str:
        named = "; ".join(f"{kind}: {_some(names)}" for kind, names in self.faults.items())
        return f"{self.path} is not what its manifest says; {named}"

    def to_json(self) -> dict[str, Any]:
        return {
            **VerlEnvError.to_json(self),
            "faults": {kind: list(names) for kind, names in self.faults.items()},
        }


class BundleMisfitError(VerlEnvError):
    """A bundle that is not for this machine or this verl-env: what it needs, and what is here."""

    id = "bundle-misfit"
    path: Path
    what: str
    need: str
    have: str
    way_on: str
    says = "{path} does not fit: {what}: it needs {need}, and here is {have}"
    helps = "{way_on}"

    def to_json(self) -> dict[str, Any]:
        return {**VerlEnvError.to_json(self), "requirement": self.what, "need": self.need, "have": self.have}


class BundleLacksError(VerlEnvError):
    """A bundle that does not hold what is asked for: another lockset, stack or Python than it was made for."""

    id = "bundle-lacks"
    path: Path
    what: str
    holds: Sequence[str]
    says = "{path} is not for {what}; it is for {holds:, }"
    helps = "see what it holds: verl-env bundle --list {path!q}"


class BundleTargetForeignError(VerlEnvError):
    """``-o`` is a directory with files that is no bundle, or something else that a bundle must not replace."""

    id = "bundle-target-foreign"
    exit_code = EXIT_MISUSE
    path: Path
    found: str
    says = "{path} is {found}, and a bundle is made in a directory of its own"
    helps = "give another path: -o {path.name!q}.bundle"


class BundleBusyError(VerlEnvError):
    """Another verl-env is making the same bundle."""

    id = "bundle-busy"
    path: Path
    says = "another run is writing {path}"
    helps = "wait for it, or end it and run this again: what it fetched is kept"


class BundleFileUnavailableError(VerlEnvError):
    """A file that a bundle needs cannot be had."""

    id = "bundle-file-unavailable"
    name: str
    reason: str
    says = "{name} cannot be had: {reason}"
    helps = "run the same command again, what was fetched is kept; or another index: UV_DEFAULT_INDEX, PIP_INDEX_URL"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
