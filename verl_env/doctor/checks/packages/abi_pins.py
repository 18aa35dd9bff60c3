"""The torch that a package pins, beside the one that is installed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.version import Version

from verl_env.doctor.commands import remedy
from verl_env.doctor.model import Fix, Hit, Remedy
from verl_env.doctor.tables import pinned

if TYPE_CHECKING:
    from collections.abc import Callable

    from verl_env.doctor.facts import Facts


def repin(name: str) -> Callable[[Facts], Remedy]:
    """The remedy of a wheel that pins its torch: bring back the torch that it was built for."""

    def pin(facts: Facts) -> Remedy:
        torch = wanted_torch(facts, name)
        if torch is None:
            version = facts.version(name)
            wanted = f"{name}=={version.public}" if version else name
            text = f"Reinstall {name} together with the torch that it pins."
            return Remedy(text, (facts.shell.install(wanted, reinstall=True, deps=True),))
        text = f"Bring back torch {torch}, which {facts.named(name)} is built for."
        return remedy(facts.shell, text, Fix(install=(f"torch=={torch}",), deps=True))

    return pin


def wanted_torch(facts: Facts, name: str) -> str | None:
    """The torch that an installed package pins, by its own metadata or by the table of releases."""
    if facts.target is not None:
        for distribution in facts.target.distributions:
            if distribution.name == name:
                for line in distribution.requires:
                    match = re.match(r"torch\s*\(?==\s*([\w.+]+)", line)
                    if match and "extra ==" not in line:
                        return match[1]
                return None
    version = facts.version(name)
    return pinned(name, version, "torch") if version and not version.is_devrelease else None


def pin_hit(facts: Facts, name: str, row: str) -> Hit | None:
    """A hit where the installed torch is another release than the one a package pins."""
    wanted, torch = wanted_torch(facts, name), facts.version("torch")
    if wanted is None or torch is None or facts.rocm_torch or torch.is_prerelease or _is_site_build(facts, name):
        return None
    if torch.local and not torch.local.startswith(("cu", "cpu")):
        return None  # a vendor's own, such as those of ROCm's images: what it is compatible with is not known
    if torch.public == wanted.partition("+")[0]:
        return None
    title = f"{facts.named(name)} is built for torch {wanted}, but torch {torch} is installed"
    cause = "torch was changed after it was installed, usually by a later install command."
    lines = (facts.named(name), facts.named("torch"), f"{name} pins torch=={wanted}")
    near = (torch.major, torch.minor) == tuple(Version(wanted).release[:2])
    return Hit(lines, title, cause, covers=(row,), severity="warning" if near else None)


def _is_site_build(facts: Facts, name: str) -> bool:
    """Whether somebody built it for another torch than the release pins (``0.10.1+nv25.9``, ``0.11.0.dev3``)."""
    version = facts.version(name)
    if version is None:
        return False
    return version.is_devrelease or bool(version.local and not version.local.startswith("cu"))
