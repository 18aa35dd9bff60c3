"""What a process has loaded after ``import torch``, worked out without running it.

``torch/__init__.py`` first loads ``libtorch_global_deps.so``, which needs some or all of the CUDA libraries. Where that
fails for one of them, releases since 2.0 load the libraries of the NVIDIA wheels one by one and try again; 2.6 loads
two more afterwards, later releases all of them, and other packages find them under their SONAME. Which of this a
release does is read from its source (``_load_global_deps``; observed with torch 2.6.0+cu124 and 2.11.0+cu130 and an
older libnvJitLink on LD_LIBRARY_PATH: both import).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.binaries.loader import Closure
from verl_env.binaries.symbols import CUDA, undefined, unresolved
from verl_env.reading import text_or_none
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from verl_env.binaries.loader import Loader
    from verl_env.binaries.symbols import Providers

_AFTER = re.compile(r"""^[ \t]*_preload_cuda_(?:deps|lib)\(\s*["'](\w+)["'],\s*["'](lib[^"']+)["']""", re.MULTILINE)
_FALLBACK = re.compile(r"""^[ \t]*\(?["'](\w+)["'](?::|,)\s*["'](lib[^"']+\.so[^"']*)["']""", re.MULTILINE)
#: Newer releases load the whole list afterwards.
_AFTER_ALL = re.compile(r"^[ \t]*_preload_cuda_deps\(\)", re.MULTILINE)


@record
class TorchProcess:
    """The libraries of a process after ``import torch``.

    ``gaps`` are CUDA symbols that nothing defines, each with the library that needs it; ``first_gaps`` those before
    torch helped itself. ``shadows`` is what the first attempt loaded, by SONAME.
    """

    closure: Closure
    gaps: tuple[tuple[str, str], ...]
    first: Closure
    first_gaps: tuple[tuple[str, str], ...]

    @property
    def healed(self) -> bool:
        """Whether torch's own fallback mends what is wrong on the loader's path."""
        return bool(self.first_gaps or self.first.missing) and not self.gaps and not self.closure.missing


def simulate(site: Path, loader: Loader, providers: Providers) -> TorchProcess:
    """The process after ``import torch`` from a site-packages directory; empty where torch is not there."""
    lib = site / "torch" / "lib"
    source = _source(site)
    first = Closure()
    for name in ("libtorch_global_deps.so", "libtorch_python.so"):
        if (lib / name).exists():
            loader.load(str(lib / name), first)
            if name == "libtorch_global_deps.so":
                _preload(site, loader, _afterwards(source), first)
    first_gaps = gaps_of(first, providers)
    fallback = _FALLBACK.findall(source)
    if not fallback or not (first_gaps or first.missing):
        return TorchProcess(first, first_gaps, first, first_gaps)
    second = Closure()
    _preload(site, loader, fallback, second)
    for name in ("libtorch_global_deps.so", "libtorch_python.so"):
        loader.load(str(lib / name), second)
    return TorchProcess(second, gaps_of(second, providers), first, first_gaps)


def gaps_of(closure: Closure, providers: Providers) -> tuple[tuple[str, str], ...]:
    """CUDA symbols that nothing in a process defines, each with the library that needs it."""
    libraries = sorted({loaded.elf.path for loaded in closure.loaded.values()})
    return tuple((name, path) for path in libraries for name in unresolved(undefined(path, CUDA), libraries, providers))


def _afterwards(source: str) -> list[tuple[str, str]]:
    """What torch loads once its first attempt has worked."""
    whole = _FALLBACK.findall(source) if _AFTER_ALL.search(source) else []
    return [*whole, *_AFTER.findall(source)]


def _source(site: Path) -> str:
    return text_or_none(site / "torch" / "__init__.py") or ""


def _preload(site: Path, loader: Loader, libraries: Sequence[tuple[str, str]], into: Closure) -> None:
    """Loads libraries of the NVIDIA wheels by their path, as ``_preload_cuda_deps`` does."""
    for folder, pattern in libraries:
        found = sorted(site.glob(f"nvidia/{folder}/lib/{pattern}")) or sorted(site.glob(f"nvidia/cu1?/lib/{pattern}"))
        if found:
            loader.load(str(found[0]), into)
