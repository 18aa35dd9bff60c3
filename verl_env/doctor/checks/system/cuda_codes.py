"""Error codes of CUDA that no family's own words meet: each has a name, a number and the family that it is of."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from verl_env.doctor.checks.functions import reads
from verl_env.doctor.compile_checks import rows
from verl_env.doctor.model import Hit, Remedy
from verl_env.doctor.tables import table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verl_env.doctor.facts import Facts


@functools.cache
def codes() -> Mapping[str, tuple[str, str]]:
    """By number and by name (``"803"``, ``"SystemDriverMismatch"``): ``"803 SystemDriverMismatch"`` and its family."""
    families = table("cuda_codes")["codes"]
    return {word: (code, family) for family, found in families.items() for code in found for word in code.split()}


@reads("cuda-error-code")
def _code(_: Facts, match: re.Match[str]) -> Hit | None:
    code, family = codes().get(match["code"], ("", ""))
    row = rows().get(family)
    if row is None or any(re.search(pattern, match.string) for pattern in row["log"]):
        return None  # the family says it itself
    number, name = code.split()
    title = f"CUDA error {number} (cudaError{name}): {row['title'][0].lower()}{row['title'][1:]}"
    return Hit((), title, row["cause"], Remedy(row["remedy"], tuple(row.get("commands", ()))))
