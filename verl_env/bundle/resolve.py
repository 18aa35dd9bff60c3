"""What requirements come to on another machine, as pip resolves them there: for builds and for additions."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verl_env.bundle.errors import BundleFileUnavailableError
from verl_env.bundle.lookup import BundleRequirement
from verl_env.environment.installed import normalise
from verl_env.installers.isolation import WORKING_DIRECTORY
from verl_env.installers.pip import resolve_elsewhere

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from verl_env.bundle.model import Role
    from verl_env.locksets.target import LockTarget

#: Seconds that a resolution may take: few packages, and one page of the index for each.
SECONDS = 300.0


def resolve(
    requirements: Sequence[str], constraints: Iterable[str], target: LockTarget, role: Role
) -> tuple[BundleRequirement, ...]:
    """The wheels that requirements and what they need come to.

    Args:
        requirements: As pip reads them.
        constraints: Versions that are taken where something is needed.
        target: The machine that they are for.
        role: What they are in the bundle.

    Raises:
        BundleFileUnavailableError: they cannot be had as wheels.
    """
    if not requirements:
        return ()
    with tempfile.TemporaryDirectory(prefix="verl-env-resolve-") as room:
        limits, report = Path(room, "constraints.txt"), Path(room, "report.json")
        limits.write_text("".join(f"{line}\n" for line in constraints), encoding="utf-8")
        command = resolve_elsewhere(target, report, limits, requirements)
        try:
            done = subprocess.run(
                command.argv,
                env=command.env,
                cwd=WORKING_DIRECTORY,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise BundleFileUnavailableError(", ".join(requirements), f"pip said nothing in {SECONDS:.0f} s") from error
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
            reason = (lines or done.stderr.splitlines()[-1:] or ["pip failed without a word"])[-1]
            raise BundleFileUnavailableError(", ".join(requirements), reason.removeprefix("ERROR: "))
        found: dict[str, Any] = json.loads(report.read_bytes())
    return tuple(_wanted(entry, target, role) for entry in found["install"])


def _wanted(entry: dict[str, Any], target: LockTarget, role: Role) -> BundleRequirement:
    info, origin = entry["metadata"], entry["download_info"]
    digest = origin.get("archive_info", {}).get("hashes", {}).get("sha256")
    hashes = frozenset({f"sha256:{digest}"}) if digest else None
    return BundleRequirement(normalise(info["name"]), info["version"], role, target, hashes, url=origin["url"])
