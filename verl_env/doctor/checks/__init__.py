"""All checks of the doctor.

A check is a table in ``<theme>.toml`` (``declared`` says what its keys mean); one that only reads logs, or compares
versions, needs nothing else. Where it takes more, a function is joined by the id (``functions``): it looks at
``Facts``, whose queries answer True only for what is known, so that an absence of knowledge never becomes a finding.
Patterns match the general text of an error, not the wording of one thread. ``covers`` names rows of the catalogue of
failure modes; rows of that catalogue which rest on inference stay of severity warning.
"""

from verl_env.doctor.checks.declared import declared
from verl_env.doctor.checks.packages import (  # noqa: F401  each joins its functions
    abi,
    abi_pairs,
    abi_parts,
    conflicts,
    coupling,
    coupling_env,
    cuda,
    dependencies,
    incomplete,
    leaks,
    ownership,
    patches,
    release_pins,
    replaced,
    symbols,
    transformers,
    vanished,
)
from verl_env.doctor.checks.system import (  # noqa: F401
    cuda_codes,
    driver,
    filesystems,
    fitness,
    gpu,
    headers,
    libraries,
    loader,
    network,
    os_libraries,
    other,
    ray_slurm,
    rocm,
    rocm_visibility,
    toolchain,
    unseen,
)

CHECKS = declared()
