"""A torch that was put in the place of the one that the other packages are built for."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from verl_env.doctor.checks.functions import finds
from verl_env.doctor.checks.packages.abi_pairs import TORCHVISION_OFFSET
from verl_env.doctor.checks.packages.abi_pins import wanted_torch
from verl_env.doctor.checks.packages.coupling_env import relock
from verl_env.doctor.commands import remedy
from verl_env.doctor.facts import parse_version
from verl_env.doctor.model import Fix, Hit, Remedy
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.version import Version

    from verl_env.doctor.facts import Facts

_PIN = re.compile(r"torch\s*\(?==\s*(?P<version>[\d.]+)")
_ROWS = {
    "vllm": "A6",
    "sglang": "A7",
    "sgl-kernel": "A7",
    "torchvision": "A12",
    "torchcodec": "A13",
    "flash-attn": "A1",
}
_SHOWN = 6


@record
class Pin:
    """A package and the torch that it is built for; the release is exact only where its own metadata says so."""

    package: str
    torch: Version
    exact: bool

    @property
    def minor(self) -> tuple[int, int]:
        """Major and minor: what a C++ interface lasts for."""
        return self.torch.major, self.torch.minor


def pins(facts: Facts) -> tuple[Pin, ...]:
    """What the installed packages, and the lockset, say of the torch that they go with."""
    found = [*_by_metadata(facts)] if facts.target is not None else [*_by_tables(facts)]
    locked = parse_version(facts.locked.get("torch"))
    if locked is not None:
        found.append(Pin(f"lockset {facts.lockset}", locked, exact=True))
    return tuple(found)


def _by_metadata(facts: Facts) -> Iterator[Pin]:
    for distribution in facts.target.distributions if facts.target else ():
        for line in distribution.requires:
            match = None if "extra" in line else _PIN.match(line)
            version = parse_version(match["version"]) if match else None
            if version is not None:
                yield Pin(distribution.name, version, exact=True)


def _by_tables(facts: Facts) -> Iterator[Pin]:
    """Pins of releases that are known by heart: the engines, and what is released together with torch."""
    for engine in ("vllm", "sglang"):
        version = parse_version(wanted_torch(facts, engine))
        if version is not None:
            yield Pin(engine, version, exact=True)
    vision, audio = facts.version("torchvision"), facts.version("torchaudio")
    if vision is not None and vision.major == 0 and vision.minor >= TORCHVISION_OFFSET:
        paired = parse_version(f"2.{vision.minor - TORCHVISION_OFFSET}")
        if paired is not None:
            yield Pin("torchvision", paired, exact=False)
    if audio is not None and audio.major == 2:  # noqa: PLR2004  released with torch since 2.0
        yield Pin("torchaudio", audio, exact=False)


@finds("torch-replaced")
def _replaced(facts: Facts) -> Hit | None:
    """At least two packages want one other minor release, and fewer want the one that is there."""
    torch = facts.version("torch")
    if torch is None or facts.rocm_torch or torch.is_prerelease or torch.is_devrelease:
        return None
    found = pins(facts)
    counted = Counter(pin.minor for pin in found)
    here = counted.pop((torch.major, torch.minor), 0)
    if not counted:
        return None
    minor, votes = counted.most_common(1)[0]
    if votes < 2 or votes <= here or len(counted) > 1:  # noqa: PLR2004  one alone may be the one that is wrong
        return None
    chosen = [pin for pin in found if pin.minor == minor]
    lines = [f"{pin.package} is built for torch {pin.torch}" for pin in chosen[:_SHOWN]]
    rows = ("D0", *(row for pin in chosen if (row := _ROWS.get(pin.package))))
    title = f"torch {torch} stands where torch {minor[0]}.{minor[1]} belongs"
    return Hit((facts.named("torch"), *lines), title, remedy=_back(facts, chosen), covers=tuple(dict.fromkeys(rows)))


def _back(facts: Facts, chosen: list[Pin]) -> Remedy:
    if "torch" in facts.locked:
        return relock(facts)
    exact = next((pin.torch for pin in reversed(chosen) if pin.exact), None)
    wanted = f"torch=={exact.public}" if exact else f"torch=={chosen[0].minor[0]}.{chosen[0].minor[1]}.*"
    text = "Bring back the torch that everything else is built for, with its own requirements."
    return remedy(facts.shell, text, Fix(install=(wanted,), deps=True))
