"""The checks by theme, and the list of all of them.

How to write one: a module-level ``find`` function looks at ``Facts`` (its queries answer True only for what is known,
so that an absence of knowledge never becomes a finding) and returns a ``Hit`` with evidence, or None. A ``Check``
joins it with its texts; the theme module lists its checks in ``CHECKS``. Log patterns match the general text of the
error, not the wording of one thread. ``covers`` names rows of the catalogue of failure modes; rows of that catalogue
which rest on inference stay of severity warning.
"""

from __future__ import annotations

from verl_env.doctor.checks.abi import CHECKS as ABI
from verl_env.doctor.checks.abi_pairs import CHECKS as ABI_PAIRS
from verl_env.doctor.checks.abi_parts import CHECKS as ABI_PARTS
from verl_env.doctor.checks.builds import CHECKS as BUILDS
from verl_env.doctor.checks.conflicts import CHECKS as CONFLICTS
from verl_env.doctor.checks.coupling import CHECKS as COUPLING
from verl_env.doctor.checks.coupling_env import CHECKS as COUPLING_ENV
from verl_env.doctor.checks.cuda import CHECKS as CUDA
from verl_env.doctor.checks.dependencies import CHECKS as DEPENDENCIES
from verl_env.doctor.checks.driver import CHECKS as DRIVER
from verl_env.doctor.checks.families import checks as families
from verl_env.doctor.checks.filesystems import CHECKS as FILESYSTEMS
from verl_env.doctor.checks.fitness import CHECKS as FITNESS
from verl_env.doctor.checks.gpu import CHECKS as GPU
from verl_env.doctor.checks.headers import CHECKS as HEADERS
from verl_env.doctor.checks.incomplete import CHECKS as INCOMPLETE
from verl_env.doctor.checks.leaks import CHECKS as LEAKS
from verl_env.doctor.checks.libraries import CHECKS as LIBRARIES
from verl_env.doctor.checks.loader import CHECKS as LOADER
from verl_env.doctor.checks.network import CHECKS as NETWORK
from verl_env.doctor.checks.other import CHECKS as OTHER
from verl_env.doctor.checks.ownership import CHECKS as OWNERSHIP
from verl_env.doctor.checks.patches import CHECKS as PATCHES
from verl_env.doctor.checks.ray_slurm import CHECKS as RAY_SLURM
from verl_env.doctor.checks.release_pins import CHECKS as RELEASE_PINS
from verl_env.doctor.checks.replaced import CHECKS as REPLACED
from verl_env.doctor.checks.rocm import CHECKS as ROCM
from verl_env.doctor.checks.rocm_visibility import CHECKS as ROCM_VISIBILITY
from verl_env.doctor.checks.symptoms import CHECKS as SYMPTOMS
from verl_env.doctor.checks.system import CHECKS as SYSTEM
from verl_env.doctor.checks.toolchain import CHECKS as TOOLCHAIN
from verl_env.doctor.checks.transformers import CHECKS as TRANSFORMERS
from verl_env.doctor.checks.unseen import CHECKS as UNSEEN
from verl_env.doctor.checks.vanished import CHECKS as VANISHED

CHECKS = (
    *REPLACED,
    *ABI,
    *ABI_PAIRS,
    *ABI_PARTS,
    *CUDA,
    *DRIVER,
    *FITNESS,
    *LOADER,
    *SYSTEM,
    *DEPENDENCIES,
    *TRANSFORMERS,
    *CONFLICTS,
    *INCOMPLETE,
    *OWNERSHIP,
    *COUPLING,
    *COUPLING_ENV,
    *LEAKS,
    *TOOLCHAIN,
    *BUILDS,
    *HEADERS,
    *FILESYSTEMS,
    *RAY_SLURM,
    *NETWORK,
    *GPU,
    *ROCM,
    *ROCM_VISIBILITY,
    *OTHER,
    *PATCHES,
    *RELEASE_PINS,
    *SYMPTOMS,
    *VANISHED,
    *LIBRARIES,
    *families(),
    # The last: it tells what the others could not read.
    *UNSEEN,
)
