"""NVML is asked in a child process, which is started here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verl_env.machine.child import Child, Children

#: The program of the child.
SCRIPT = Path(__file__).with_name("nvml_child.py")


def start_nvml(children: Children, env: Mapping[str, str], *, cuda_init: bool = False, script: Path = SCRIPT) -> Child:
    """Start the child that asks NVML.

    Args:
        children: The group whose deadline it has.
        env: Its environment; LD_LIBRARY_PATH in it decides which libcuda it finds, as for any program.
        cuda_init: Whether it also starts CUDA, the only witness of a fabric that NVML says nothing of.
        script: The program.
    """
    options = ["--cuda-init"] if cuda_init else []
    return children.start([sys.executable, "-I", "-S", str(script), *options], env=env)
