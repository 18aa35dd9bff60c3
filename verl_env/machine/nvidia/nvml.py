"""NVML is asked in a child process, which is started here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verl_env.machine.child import Child, Children

#: The program of the child, a module with a function ``main``.
MODULE = Path(__file__).with_name("nvml_child.py")

#: The last line of the child; what the driver's libraries do when they are unloaded is not waited for.
LAST_WORDS = b'["end", null]\n'

# Imported and not run as a file, so that its byte code is kept: compiling it would cost a fifth of the time.
_START = "import sys; sys.path.append(sys.argv[1]); __import__(sys.argv[2]).main(sys.argv[3:])"


def start_nvml(children: Children, env: Mapping[str, str], *, cuda_init: bool = False, module: Path = MODULE) -> Child:
    """Start the child that asks NVML.

    Args:
        children: The group whose deadline it has.
        env: Its environment; LD_LIBRARY_PATH in it decides which libcuda it finds, as for any program.
        cuda_init: Whether it also starts CUDA, the only witness of a fabric that NVML says nothing of.
        module: The program.
    """
    python = [sys.executable, "-I", "-S", "-c", _START]
    options = ["--cuda-init"] if cuda_init else []
    argv = [*python, str(module.parent), module.stem, *options]
    return children.start(argv, env=env, last_words=LAST_WORDS)
