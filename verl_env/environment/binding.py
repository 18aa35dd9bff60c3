"""What binds a process to the generation that it started in: two files in site-packages that belong to no package.

They are of the place, not of the patches: an environment without our runtime has them too.
``runtime/binding/_verl_env_generation.py`` says how it is done.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.environment.files import replace_bytes
from verl_env.environment.reuse import sites
from verl_env.reading import read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

_SOURCE = Path(__file__).parents[1] / "runtime" / "binding"
#: The names of the files.
FILES = ("_verl_env_generation.py", "zz_verl_env_generation.pth")


def bind_at_start(generation: Path) -> None:
    """Puts the files into a generation; those that are there and right stay, with their bytecode.

    Raises:
        OSError: they cannot be written.
    """
    for site in sites(generation):
        for name in _missing(site):
            replace_bytes(site / name, (_SOURCE / name).read_bytes())


def is_bound(site: Path) -> bool:
    """Whether processes that start with a site-packages are bound."""
    return not list(_missing(site))


def is_usable(name: str, content: bytes) -> bool:
    """Whether a file is of ours, or the module of another release: CPython can read it."""
    if content == (_SOURCE / name).read_bytes():
        return True
    try:
        compile(content, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return name.endswith(".py")


def _missing(site: Path) -> Iterable[str]:
    for name in FILES:
        try:
            if read_bytes(site / name) == (_SOURCE / name).read_bytes():
                continue
        except OSError:
            pass
        yield name
