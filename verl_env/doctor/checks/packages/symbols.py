"""Functions that no loaded library defines: what should, by the function's name, whoever asks for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.binaries.symbols import qualified_name
from verl_env.doctor.checks.functions import reads
from verl_env.doctor.model import Hit, Remedy
from verl_env.doctor.tables import origin

if TYPE_CHECKING:
    from verl_env.doctor.facts import Facts

_TOLD = (
    "Install the two in the versions that belong together; a library of CUDA comes with the nvidia wheel that torch, "
    "or the package, pins."
)
_COMMAND = "verl-env plan --stack vllm --explain"
_STANDARD = re.compile(r"_ZN?[VKRO]*St(?P<length>\d+)")


def readable(symbol: str) -> str:
    """A symbol as its source has it: ``atb::CreateOperation``; itself where it is of C, or not plain."""
    if found := _STANDARD.match(symbol):
        return f"std::{symbol[found.end() : found.end() + int(found['length'])]}"
    return (qualified_name(symbol) or symbol).partition("(")[0]


@reads("symbol-undefined")
def _undefined(_: Facts, match: re.Match[str]) -> Hit:
    symbol, library = match["symbol"], match.groupdict().get("library")
    name = readable(symbol)
    row = origin("symbols", name)
    title = f"{library or 'A library'} does not find {name}"
    cause = f"{name} is of {row['what']}." if row else None
    remedy = Remedy(_TOLD, (*row.get("commands", ()), _COMMAND)) if row else None
    return Hit((f"the symbol is {symbol}",) if name != symbol else (), title, cause, remedy)
