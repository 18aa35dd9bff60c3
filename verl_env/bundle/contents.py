"""What plans need of the index and of addresses: packages of their locks, native components, additions, verl-env."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.bundle.lookup import BundleRequirement
from verl_env.bundle.resolve import resolve
from verl_env.bundle.tool import PYTHONS
from verl_env.locksets.target import LockTarget, oldest_glibc
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.choose.model import Choice, Request
    from verl_env.installers.options import Options
    from verl_env.locksets.model import PythonLock
    from verl_env.machine.model import Machine
    from verl_env.plans.model import Plan


@record
class Planning:
    """A plan with what it was made from."""

    plan: Plan
    choice: Choice
    request: Request
    machine: Machine
    options: Options
    verl: bool = True

    @property
    def lock(self) -> PythonLock | None:
        """The lock that the plan installs."""
        return self.plan.lockset.python(self.plan.python)

    @property
    def target(self) -> LockTarget:
        """The Python, architecture and glibc that files are taken for."""
        glibc = self.machine.host.glibc
        known = glibc if isinstance(glibc, str) else oldest_glibc(self.plan.lockset)
        return LockTarget(self.plan.python, self.plan.arch, known)


def packages_wanted(planning: Planning) -> tuple[BundleRequirement, ...]:
    """The packages of the lock, each with the hashes that it names."""
    return tuple(
        BundleRequirement(
            package.name,
            package.version,
            "package",
            planning.target,
            frozenset(package.hashes) if package.hashes else None,
            package.download_bytes or 0,
            None if package.by_index else package.url,
            index=package.url if package.by_index else None,
            built=package.source == "sdist",
        )
        for package in planning.plan.packages
    )


def extras_wanted(planning: Planning) -> tuple[BundleRequirement, ...]:
    """What wishes beside the lock come to, under its pins.

    Raises:
        BundleFileUnavailableError: they cannot be had as wheels.
    """
    pins = {package.name: package.version for package in planning.plan.packages}
    lines = [f"{name}=={version}" for name, version in pins.items()]
    found = resolve(planning.plan.extras, lines, planning.target, "package")
    return tuple(each for each in found if pins.get(each.name) != each.version)


def tool_targets(plannings: Sequence[Planning]) -> tuple[LockTarget, ...]:
    """What verl-env is brought for: every Python that it runs on, on every architecture of the plans."""
    oldest: dict[str, LockTarget] = {}
    for planning in plannings:
        target = planning.target
        known = oldest.setdefault(target.arch, target)
        if _number(target.glibc) < _number(known.glibc):
            oldest[target.arch] = target
    return tuple(LockTarget(python, target.arch, target.glibc) for target in oldest.values() for python in PYTHONS)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
