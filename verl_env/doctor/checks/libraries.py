"""Any shared library that the loader does not find: whose it is, and what asks for it."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verl_env.constraints import parse_toml
from verl_env.doctor.model import Check, Hit, Remedy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verl_env.doctor.facts import Facts

_OWNER = re.compile(r"(?:site|dist)-packages/(?P<top>[\w-]+?)(?:\.libs)?[/.]")
_TOLD = "Look which package brings it, install that, and see that the loader finds it."


@functools.cache
def _rows() -> Sequence[Mapping[str, Any]]:
    rows: Sequence[Mapping[str, Any]] = parse_toml(Path(__file__).with_name("libraries.toml"))["library"]
    return rows


def origin(library: str) -> Mapping[str, Any] | None:
    """What brings a library, by its name with or without ``.so`` and release; None for one that no row names."""
    bare = library.rpartition("/")[2].partition(".so")[0]
    return next((row for row in _rows() if re.fullmatch(row["name"], bare)), None)


def _missing(_: Facts, match: re.Match[str]) -> Hit | None:
    library = match["library"]
    row = origin(library)
    name = library.rpartition("/")[2]
    by = _asking(match)
    cause = f"It is of {row['what']}." if row else "Nothing on the loader's path has it."
    title = f"{name} is not found by the loader"
    commands = tuple(row.get("commands", ())) if row else (f"ldconfig -p | grep {name.partition('.so')[0]}",)
    text = f"Bring {row['what']}, and see that the loader finds it." if row else _TOLD
    return Hit((f"{by} asks for it",) if by else (), title, cause, Remedy(text, commands))


def _asking(match: re.Match[str]) -> str | None:
    """The package whose file asked for the library: that of the last frame before the message."""
    before = match.string[max(0, match.start() - 4000) : match.start()]
    owners = [found["top"] for found in _OWNER.finditer(before[before.rfind("Traceback (most recent") + 1 :])]
    return owners[-1] if owners else None


CHECKS = (
    Check(
        id="library-missing",
        theme="loader",
        severity="error",
        title="A shared library is not found by the loader",
        cause="What a package was linked with is not installed, or not where the loader looks.",
        remedy=Remedy(_TOLD, ('ldd FILE.so | grep "not found"',)),
        covers=("B12", "C3", "C4", "C5"),
        sources=("ld.so(8)", "sglang#5094", "vllm#52300"),
        log=(
            r"(?<![\w./+-])(?=[\w./+-]*lib)(?P<library>[\w./+-]+\.so[.\d]*): cannot open shared object file",
            r"(?<![\w.+-])(?P<library>lib[\w.+-]+\.so[.\d]*) => not found",
            (
                r"(?:(?:cannot|unable to|Could not) (?:find|load)(?: library)?|loading shared libraries:) ['\"`]?"
                r"(?P<library>lib[\w+-]+\.so[.\d]*)"
            ),
        ),
        from_log=_missing,
        explains=(
            "model-inspection-failed",
            "vllm-op-missing",
            "sgl-kernel-critical",
            "transformers-lazy-import",
            "import-fails",
        ),
        general=True,
    ),
)
