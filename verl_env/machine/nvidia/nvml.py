"""NVML is asked in a child process, which is started here: by a fork where nothing speaks against it."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from verl_env.machine.child import Child, Children
    from verl_env.machine.fork import Forked

#: The variable that hides GPUs from CUDA programs; children go without it, so that every GPU is listed.
VISIBLE = "CUDA_VISIBLE_DEVICES"
#: The program of the child, a module with a function ``main``.
MODULE = f"{os.path.dirname(__file__)}/nvml_child.py"  # noqa: PTH120  (pathlib is slow to load)

#: The last line of the child; what the driver's libraries do when they are unloaded is not waited for.
LAST_WORDS = b'["end", null]\n'

# Imported and not run as a file, so that its byte code is kept: compiling it would cost a fifth of the time.
_START = "import sys; sys.path.append(sys.argv[1]); __import__(sys.argv[2]).main(sys.argv[3:])"


def fork_nvml() -> Forked | None:
    """The child that asks NVML, before the rest of the program is loaded; None where this process may not fork.

    It has the environment that this process was started with, less the variable that hides GPUs.
    """
    from verl_env.machine.fork import fork  # noqa: PLC0415  (not needed where the child is an interpreter)

    return fork(_ask, unset=(VISIBLE,))


def adopt_nvml(children: Children, forked: Forked) -> Child:
    """The forked child as one of a group, whose deadline it has from now on."""
    return children.adopt(forked, "NVML", last_words=LAST_WORDS)


def start_nvml(
    children: Children, env: Mapping[str, str], *, cuda_init: bool = False, module: str | Path = MODULE
) -> Child:
    """Start the child that asks NVML.

    Args:
        children: The group whose deadline it has.
        env: Its environment; LD_LIBRARY_PATH in it decides which libcuda it finds, as for any program.
        cuda_init: Whether it also starts CUDA, the only witness of a fabric that NVML says nothing of.
        module: The program.
    """
    python = [sys.executable, "-I", "-S", "-c", _START]
    options = ["--cuda-init"] if cuda_init else []
    folder, _, name = str(module).rpartition("/")
    argv = [*python, folder, name.removesuffix(".py"), *options]
    return children.start(argv, env=env, last_words=LAST_WORDS)


def _ask() -> None:
    from verl_env.machine.nvidia import nvml_child  # noqa: PLC0415  (loaded in the child alone)

    nvml_child.main(())
