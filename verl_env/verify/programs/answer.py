"""How a program of a proof answers: figures as JSON into the file that the tool named."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def give(**figures: Any) -> None:
    """Writes the figures; the last call counts."""
    place = Path(os.environ["VERL_ENV_VERIFY_ANSWER"])
    partial = place.with_suffix(".part")
    partial.write_text(json.dumps(figures), encoding="utf-8")
    partial.replace(place)


def relative_error(value: Any, reference: Any) -> float:
    """The norm of the difference over the norm of the reference, both in float32; NaN where either has one."""
    difference = (value.float() - reference.float()).norm()
    return float(difference / reference.float().norm())
