"""Providers for wheel variants (drafts PEP 817 and 825): the facts of this machine, or of a described one.

Experimental. Installers that load providers as variantlib does name ``verl_env.machine.variants:Nvidia`` and
``verl_env.machine.variants:Amd``. Features are those of NVIDIA's and AMD's own providers; what is not known is left
out, so that a variant that asks for it is not taken. ``VERL_ENV_MACHINE`` names a file of ``verl-env probe -o``: on a
login node, that of a GPU node. The classes follow variantlib's protocol and import nothing of it.
"""

from __future__ import annotations

import os
from functools import cache

from verl_env.machine.model import Amd as AmdFacts
from verl_env.machine.model import Nvidia as NvidiaFacts
from verl_env.machine.tables import capabilities, toolkits
from verl_env.records import record
from verl_env.versions import dotted, is_dotted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from verl_env.machine.model import Machine

#: Values of ROCm and gfx that a wheel may ask for, whatever the machine.
_GFX = ("gfx906", "gfx908", "gfx90a", "gfx942", "gfx950", "gfx1030", "gfx1100", "gfx1101", "gfx1200", "gfx1201")
_ROCM = ("10.0", "7.14", "7.2", "7.1", "7.0", "6.4", "6.3", "6.2", "6.1", "6.0")


@record
class Feature:
    """One feature of a provider: its values, the most wanted first."""

    name: str
    values: list[str]
    multi_value: bool = False


class NvidiaProvider:
    """``nvidia``: the CUDA that the driver runs, and the compute capabilities that every GPU has code for."""

    namespace = "nvidia"

    @classmethod
    def get_all_configs(cls) -> list[Feature]:
        """Every value that a wheel may have."""
        every = list(capabilities())
        return _features(_cuda_releases(), _cuda_releases(), [_sm(cc, kind) for kind in _KINDS for cc in every])

    @classmethod
    def get_supported_configs(cls) -> list[Feature]:
        """The values that the machine supports; none without a GPU or a known driver."""
        nvidia = _machine().nvidia
        if not isinstance(nvidia, NvidiaFacts) or not isinstance(nvidia.cuda, str) or not is_dotted(nvidia.cuda):
            return []
        have = dotted(nvidia.cuda)[:2]
        lower = [each for each in _cuda_releases() if dotted(each) <= have]
        upper = [each for each in reversed(_cuda_releases()) if dotted(each) > have]
        found = [str(each.compute_capability) for each in nvidia.devices if isinstance(each.compute_capability, str)]
        return [feature for feature in _features(lower, upper, _arches(found)) if feature.values]


class AmdProvider:
    """``amd``: the ROCm user space, and the gfx target that every GPU has."""

    namespace = "amd"

    @classmethod
    def get_all_configs(cls) -> list[Feature]:
        """Every value that a wheel may have."""
        return [Feature("rocm_version", list(_ROCM)), Feature("gfx_arch", list(_GFX), multi_value=True)]

    @classmethod
    def get_supported_configs(cls) -> list[Feature]:
        """The values that the machine supports: its own ROCm release, and its target where all GPUs have one."""
        amd = _machine().amd
        if not isinstance(amd, AmdFacts):
            return []
        rocm = ".".join(str(amd.rocm).split(".")[:2]) if isinstance(amd.rocm, str) else ""
        targets = {str(each.gfx).partition(":")[0] for each in amd.devices if isinstance(each.gfx, str)}
        features = [
            Feature("rocm_version", [rocm] if rocm in _ROCM else []),
            Feature("gfx_arch", sorted(targets & set(_GFX)) if len(targets) == 1 else [], multi_value=True),
        ]
        return [feature for feature in features if feature.values]


_KINDS = ("real", "virtual")


def _features(lower: list[str], upper: list[str], arches: list[str]) -> list[Feature]:
    return [
        Feature("cuda_version_lower_bound", lower),
        Feature("cuda_version_upper_bound", upper),
        Feature("sm_arch", arches, multi_value=True),
    ]


def _arches(found: list[str]) -> list[str]:
    """The code that runs on all of these capabilities: of the same major and no newer, then PTX of no newer ones."""
    parsed = [dotted(each) for each in found if is_dotted(each)]
    if not parsed:
        return []
    known = sorted(capabilities(), key=dotted, reverse=True)
    own = any((row := capabilities().get(each)) is not None and row.own_code for each in found)
    real = [
        cc
        for cc in known
        if all(dotted(cc)[0] == have[0] and dotted(cc) <= have and (not own or dotted(cc) == have) for have in parsed)
    ]
    virtual = [cc for cc in known if all(dotted(cc) <= have for have in parsed)]
    return [_sm(cc, "real") for cc in real] + [_sm(cc, "virtual") for cc in virtual]


def _sm(capability: str, kind: str) -> str:
    return f"{capability.replace('.', '')}_{kind}"


def _cuda_releases() -> list[str]:
    """Minor releases of CUDA 12 and 13 and the next major, the newest first."""
    minors = {dotted(row.cuda)[:2] for row in toolkits()} | {(14, 0)}
    return [".".join(map(str, each)) for each in sorted(minors, reverse=True) if each >= (12, 0)]


@cache
def _machine() -> Machine:
    recorded = os.environ.get("VERL_ENV_MACHINE")
    if recorded and recorded != "none":
        from verl_env.machine.record import read_machine  # noqa: PLC0415

        return read_machine(recorded)
    from verl_env.machine.probe import probe, probe_without_gpus  # noqa: PLC0415

    return probe_without_gpus() if recorded else probe()


#: The names by which installers load them.
Nvidia, Amd = NvidiaProvider, AmdProvider
