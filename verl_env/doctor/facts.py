"""Everything a check may look at. What is not known is not absent: every query here answers for known facts only."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from verl_env.doctor.commands import Shell
from verl_env.doctor.engines.host import HostFacts
from verl_env.machine.model import UNKNOWN, Machine
from verl_env.records import NOTHING, record
from verl_env.versions import dotted, is_dotted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from verl_env.doctor.target import InspectedEnvironment
    from verl_env.environment.proofs import KeptProof
    from verl_env.install.completeness import Completeness
    from verl_env.install.fitness import Misfit
    from verl_env.machine.model import Known


@record
class Facts:
    """The facts of one diagnosis, gathered from an environment or read from a report.

    Attributes:
        machine: The machine it is for.
        python: Version of the environment's Python, ``"3.10"`` or longer.
        packages: Canonical name to version as it was written; None where a version is not stated.
        packages_complete: Whether a package that is not listed is known to be absent.
        duplicates: Packages that are there more than once, with every version.
        urls: Canonical name to the address it was installed from, where that was no index.
        environment: Environment variables.
        environment_complete: Whether a variable that is not listed is known to be unset.
        log: Text of tracebacks and messages, newest state last; empty where there is none.
        logged: Lines of ``log`` that a program's logger wrote, by their prefix.
        torch_flavour: What torch is built for: ``"12.4"``, ``"rocm6.2"``, ``"cpu"``.
        host: Limits, mounts, scheduler facts of this process and node.
        target: The environment's files behind lazy engines; None for a report.
        shell: How commands of remedies are written.
        unmet: Requirements that its lockset leaves unmet on purpose, as (package, requirement name).
        lockset: Id of the lockset it was installed from.
        locked: Canonical name to version of every package of that lockset.
        natives: Native components of that lockset that were not left out; an installation chooses their wheels.
        moved: Those of its pins that the user moved knowingly, with the version put there; None where it was removed.
        completeness: What verl misses of the lockset's native components; None where nothing says so.
        proofs: What ``verl-env verify`` was kept of, the oldest first.
        misfits: What the machine lacks of what that lockset, and what was built for it, needs.
    """

    machine: Machine = Machine()
    python: Known[str] = UNKNOWN
    packages: Mapping[str, str | None] = NOTHING
    packages_complete: bool = False
    duplicates: Mapping[str, tuple[str, ...]] = NOTHING
    urls: Mapping[str, str] = NOTHING
    environment: Mapping[str, str] = NOTHING
    environment_complete: bool = False
    log: str = ""
    logged: int = 0
    torch_flavour: Known[str] = UNKNOWN
    host: HostFacts = HostFacts()
    target: InspectedEnvironment | None = None
    shell: Shell = Shell()
    unmet: frozenset[tuple[str, str]] = frozenset()
    lockset: str | None = None
    locked: Mapping[str, str] = NOTHING
    natives: frozenset[str] = frozenset()
    moved: Mapping[str, str | None] = NOTHING
    completeness: Completeness | None = None
    proofs: tuple[KeptProof, ...] = ()
    misfits: tuple[Misfit, ...] = ()

    def installed(self, *names: str) -> bool:
        """Whether every one of these packages is known to be there."""
        return all(canonicalize_name(name) in self.packages for name in names)

    def absent(self, name: str) -> bool:
        """Whether a package is known not to be there; False while nothing is known of it."""
        return self.packages_complete and canonicalize_name(name) not in self.packages

    def version(self, name: str) -> Version | None:
        """The version of a package; None where it is absent, unknown or not a version."""
        return parse_version(self.packages.get(canonicalize_name(name)))

    def matches(self, name: str, specifier: str) -> bool:
        """Whether the version of a package is known and within a specifier such as ``">=4.54,<5"``."""
        version = self.version(name)
        return version is not None and specifiers(specifier).contains(version, prereleases=True)

    def named(self, name: str) -> str:
        """A package with its version, for evidence: ``torch 2.6.0+cu124``."""
        version = self.packages.get(canonicalize_name(name))
        return f"{name} {version}" if version else name

    def versions(self, *names: str) -> tuple[str, ...]:
        """Those of these packages that are there, with their versions, for evidence."""
        return tuple(self.named(name) for name in names if self.installed(name))

    def first_of(self, names: Iterable[str]) -> str | None:
        """The first of these packages that is known to be there."""
        return next((name for name in names if self.installed(name)), None)

    def variable(self, name: str) -> str | None:
        """The value of an environment variable; None where it is unset, empty or unknown."""
        return self.environment.get(name) or None

    def unset(self, name: str) -> bool:
        """Whether a variable is known to be unset or empty."""
        return not self.environment.get(name) and (self.environment_complete or name in self.environment)

    @property
    def driver(self) -> str | None:
        """The NVIDIA kernel driver, where it is known."""
        nvidia = self.machine.nvidia
        return (nvidia.driver or None) if nvidia else None

    @property
    def capabilities(self) -> tuple[str, ...]:
        """Every distinct compute capability that is known of this machine, lowest first."""
        nvidia = self.machine.nvidia
        known = {device.compute_capability for device in nvidia.devices} if nvidia else set()
        return tuple(sorted((value for value in known if value), key=dotted))

    @property
    def gfx(self) -> tuple[str, ...]:
        """Every distinct AMD target that is known of this machine."""
        amd = self.machine.amd
        return tuple(sorted({device.gfx for device in amd.devices if device.gfx})) if amd else ()

    @property
    def has_nvidia_gpu(self) -> bool:
        """Whether an NVIDIA GPU is known to be here."""
        return bool(self.machine.nvidia and self.machine.nvidia.devices)

    @property
    def has_amd_gpu(self) -> bool:
        """Whether an AMD GPU is known to be here."""
        return bool(self.machine.amd and self.machine.amd.devices)

    @property
    def has_gpu(self) -> bool:
        """Whether a GPU is known to be here."""
        return self.has_nvidia_gpu or self.has_amd_gpu

    @property
    def cuda(self) -> str | None:
        """The CUDA release that torch is built for (``"12.4"``); None for other builds and while unknown."""
        flavour = self.torch_flavour
        return flavour if flavour and is_dotted(flavour) else None

    @property
    def cuda_major(self) -> int | None:
        """The major release of ``cuda``."""
        return int(self.cuda.split(".")[0]) if self.cuda else None

    @property
    def rocm_torch(self) -> bool:
        """Whether torch is known to be built for ROCm."""
        return bool(self.torch_flavour) and str(self.torch_flavour).startswith("rocm")

    @property
    def python_version(self) -> Version | None:
        """The Python of the environment, where it is known."""
        return parse_version(self.python) if self.python else None


@functools.lru_cache(maxsize=4096)
def parse_version(text: str | None) -> Version | None:
    """A version, or None where the text is none."""
    try:
        return Version(text) if text else None
    except InvalidVersion:
        return None


@functools.lru_cache(maxsize=4096)
def specifiers(text: str) -> SpecifierSet:
    """A parsed specifier; checks ask for the same ones again and again."""
    return SpecifierSet(text)


def flavour_of_version(version: str | None) -> Known[str]:
    """What a torch was built for, by its local version: ``+cu124``, ``+rocm6.2.4``, ``+cpu``; UNKNOWN without one."""
    local = version.partition("+")[2].lower() if version else ""
    if local.startswith("cu") and local[2:5].isdigit():
        return f"{int(local[2:4])}.{local[4:5]}"
    if local == "cpu" or local.startswith(("rocm", "cpu.")):
        return local.partition(".cxx")[0]
    return UNKNOWN
