"""What torch is built for, by what a list of packages says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.doctor.facts import flavour_of_version
from verl_env.machine.model import UNKNOWN
from verl_env.machine.wheel_tables import torch_index_defaults

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verl_env.machine.model import Known

_RUNTIME = re.compile(r"nvidia-cuda-runtime(?:-cu\d+)?$")


def flavour_of_packages(packages: Mapping[str, str | None]) -> Known[str]:
    """The build of torch: its local version, the one CUDA runtime wheel beside it, or that of the default index.

    A torch without a local version comes from the default index, which has one build of each release (x86_64).
    """
    torch = packages.get("torch")
    if torch is None:
        return UNKNOWN
    if "+" in torch:
        return flavour_of_version(torch)
    runtimes = {version for name, version in packages.items() if version and _RUNTIME.match(name)}
    if len(runtimes) == 1:
        return ".".join(runtimes.pop().split(".")[:2])
    builds = {row.build for row in torch_index_defaults() if row.torch == torch and row.arch == "x86_64"}
    return flavour_of_version(f"{torch}+{builds.pop()}") if len(builds) == 1 and not runtimes else UNKNOWN
