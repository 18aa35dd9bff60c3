"""What can fail while an environment is made. The environment that was in force stays in force each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.errors import VerlEnvError
from verl_env.settings.mirrors import both, mirrored

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from verl_env.environment.history import Change
    from verl_env.locksets.model import Package

#: What to do after a failure whose cause may pass: downloads are kept, so a second run goes on where this one ended.
AGAIN = "run the same command again; what was downloaded is kept"


class IndexFileMissingError(VerlEnvError):
    """The index does not serve a file that the lock names, or none that fits this Python and platform."""

    id = "index-file-missing"
    package: str
    reason: str
    says = "the index has no file for {package:-a locked package}: {reason}"
    helps = "try another index (UV_DEFAULT_INDEX, PIP_INDEX_URL), or a directory with the file: --wheelhouse DIR"


class HashMismatchError(VerlEnvError):
    """A file is not the one that was locked: damaged on the way, replaced on the index, or tampered with."""

    id = "hash-mismatch"
    package: str
    expected: str
    actual: str
    address: str = ""
    says = "the file for {package}{address:+ from {address}} has {actual}, and the lock says {expected}"
    helps = "do not use that file; try another index (UV_DEFAULT_INDEX, PIP_INDEX_URL), and tell the index's owner"


class AddressUnavailableError(VerlEnvError):
    """The server of an address, or of the mirror of it, cannot be reached or does not have the file.

    ``url`` is the address that is recorded, ``fetched`` that of the mirror which is configured for it, or the same.
    """

    id = "address-unavailable"
    url: str
    fetched: str
    reason: str

    @property
    def message(self) -> str:
        return f"{both(self.url, self.fetched)} {self.reason}"

    @property
    def hint(self) -> str:
        if self.fetched != self.url:
            return "correct the [mirrors] table of the configuration (docs/hpc.md), or put the file on that mirror"
        return "behind a proxy: HTTPS_PROXY, or a mirror in the [mirrors] table of the configuration (docs/hpc.md)"


class PackageUnavailableError(AddressUnavailableError):
    """A package of the lock that only an address has cannot be had from there, nor from the wheelhouse or the cache."""

    def __init__(self, package: Package, reason: str) -> None:
        super().__init__(package.url or "", mirrored(package.url or ""), reason)
        self.args = (package, reason)
        self.package = package

    @property
    def message(self) -> str:
        return (
            f"{self.package.name} {self.package.version} of {both(self.url, self.fetched)} cannot be had: {self.reason}"
        )

    @property
    def hint(self) -> str:
        mirror = "or name a mirror of its address in the [mirrors] table of the configuration (docs/hpc.md)"
        return f"put its wheel into a directory and add: --wheelhouse DIR; {mirror}"


class DownloadInterruptedError(VerlEnvError):
    """A download broke off before its end."""

    id = "download-interrupted"
    what: str
    says = "the download of {what:-a package} broke off"
    helps = AGAIN


class IndexDeniedError(VerlEnvError):
    """The index or a mirror refuses access: it needs a login, or does not serve this host."""

    id = "index-denied"
    address: str
    reason: str
    says = "{address} refuses access ({reason})"
    helps = "give the login in the address of the index, in .netrc or by keyring; or choose another index"


class BuildFailedError(VerlEnvError):
    """A source distribution of the lock did not build."""

    id = "build-failed"
    package: str
    tail: Sequence[str]
    says = "{package:-a source distribution} did not build:{tail:*\n  }"
    helps = "offline, the wheelhouse must hold a built wheel of it, or setuptools and wheel to build it with"


class InstallerFailedError(VerlEnvError):
    """uv or pip failed for a reason that verl-env does not know; the end of its output says more."""

    id = "installer-failed"
    name: str
    command: Sequence[str]
    code: int
    tail: Sequence[str]
    helps = AGAIN + "; it was: {command: }"

    @property
    def message(self) -> str:
        how = f"was killed by signal {-self.code}" if self.code < 0 else f"ended with exit code {self.code}"
        return "\n  ".join([f"{self.name} {how}:", *self.tail])


class EnvironmentMismatchError(VerlEnvError):
    """After the installer ended, the new environment was not what the plan says; it was not put in force."""

    id = "environment-mismatch"
    changes: Sequence[Change]
    helps = "look for settings that redirect it: pip config list; cat ~/.config/uv/uv.toml"

    @property
    def message(self) -> str:
        named = [f"{change.name} is {change.old or 'missing'}, not {change.new or 'absent'}" for change in self.changes]
        return f"the installer made something else than planned: {'; '.join(named[:5])}"


class CheckFailedError(VerlEnvError):
    """A check of the lockset failed in the new environment; it was not put in force, and the log was kept."""

    id = "check-failed"
    check: str
    reason: str
    log: Path
    tail: Sequence[str]
    says = "the check {check} failed: {reason}{tail:*\n  }"
    helps = "the whole output: {log}; to install without the checks: --no-check"


class InstallerMissingError(VerlEnvError):
    """The installer that was asked for is not there, or is too old."""

    id = "installer-missing"
    name: str
    found: str | None = None
    needed: str = ""
    helps = "pip install 'verl-env[uv]', or: --installer pip"

    @property
    def message(self) -> str:
        if self.found is None:
            return f"{self.name} is not on this host"
        return f"{self.name} {self.found} is too old: {self.needed} or newer is needed"


class InstallerSilentError(VerlEnvError):
    """The installer is there and does not answer: killed, broken, or too slow. No other one is taken unasked."""

    id = "installer-silent"
    name: str
    executable: str
    reason: str
    says = "{executable} {reason}"
    helps = "run this again; without {name}: --installer pip"
