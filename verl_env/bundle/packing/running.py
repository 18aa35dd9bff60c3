"""The variables of a command in a packed prefix, which may be read-only and anybody's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from verl_env.environment.state import read_state
from verl_env.places import user_directory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Where compilers and engines keep what they make at run time; their defaults are below the home or the prefix.
CACHES = {
    "TRITON_CACHE_DIR": "triton",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TORCH_EXTENSIONS_DIR": "torch-extensions",
    "VLLM_CACHE_ROOT": "vllm",
    "FLASHINFER_WORKSPACE_BASE": "flashinfer",
    "NUMBA_CACHE_DIR": "numba",
    "CUDA_CACHE_PATH": "cuda",
}
_NOT_OURS = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT")


def cache_base(user: Mapping[str, str], prefix: Path) -> Path:
    """The directory of run-time caches of a user for a prefix."""
    return user_directory("XDG_CACHE_HOME", user) / "verl-env" / "run" / prefix.name


def packed_variables(prefix: Path, user: Mapping[str, str]) -> dict[str, str]:
    """The variables of a command: those of the lockset, of the user, and caches outside of the prefix.

    PYTHONPATH goes, as a module that it names would shadow what was packed; nothing is written into the prefix.
    """
    state = read_state(prefix)
    caches = {name: str(cache_base(user, prefix) / folder) for name, folder in CACHES.items()}
    kept = {name: value for name, value in user.items() if name not in _NOT_OURS}
    path = os.pathsep.join([str(prefix / "bin"), user.get("PATH", os.defpath)])
    fixed = {"PATH": path, "PYTHONNOUSERSITE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**({} if state is None else state.env), **caches, **kept, **fixed}
