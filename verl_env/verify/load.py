"""Reads the data of the proofs."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verl_env.records import record
from verl_env.verify.model import Part, Training

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Mapping

_DATA = Path(__file__).parent / "data"


@record
class TrainerOptions:
    """Options of the trainer, and when they are given: by release of verl, backend, engine, or a package's absence."""

    set: tuple[str, ...]
    since: str | None = None
    before: str | None = None
    backend: str | None = None
    engine: str | None = None
    without: str | None = None


@record
class Metric:
    """A figure that the trainer prints of a step: under which name, from which release on, and its bounds."""

    printed: str
    since: str | None = None
    at_most: float | None = None
    at_least: float | None = None


@record
class TrainData:
    """How verl is started, and what it prints, by figure."""

    module: str
    options: tuple[TrainerOptions, ...]
    metrics: Mapping[str, Metric]


@cache
def load_parts() -> tuple[Part, ...]:
    """Every part, in the order in which they run."""
    return tuple(_part(table) for table in _read("parts.toml")["parts"])


@cache
def load_training() -> TrainData:
    """Training, for every release of verl that a lockset has."""
    data = _read("train.toml")
    options = tuple(TrainerOptions(**{**table, "set": tuple(table["set"])}) for table in data["options"])
    return TrainData(data["module"], options, {name: Metric(**table) for name, table in data["metrics"].items()})


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((_DATA / name).read_text(encoding="utf-8"))


def _part(table: dict[str, Any]) -> Part:
    train = Training(**table.pop("train")) if "train" in table else None
    needs, arguments = tuple(table.pop("needs")), tuple(table.pop("arguments", ()))
    return Part(train=train, needs=needs, arguments=arguments, **table)
