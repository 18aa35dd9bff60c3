"""Two GRPO steps as a command, and what its output says of them."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from packaging.version import Version

from verl_env.verify.load import TrainerOptions, load_training

if TYPE_CHECKING:
    from collections.abc import Mapping

    from verl_env.verify.model import Training

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_STEP = re.compile(r"\bstep:(\d+) - ")
_METRIC = re.compile(r"(?<![\w/@.-])([\w/@.-]+):(?:np\.float\d+\()?([-+]?(?:\d[\d.e+-]*|nan|inf))")


def options_for(training: Training, packages: Mapping[str, str]) -> list[str]:
    """The options of the trainer, with the placeholders ``{models}``, ``{programs}`` and ``{work}`` left in.

    Args:
        training: What is trained with what.
        packages: What is installed; verl's version decides which options there are.
    """
    verl = Version(packages["verl"])
    given = [
        option for group in load_training().options if _holds(group, training, verl, packages) for option in group.set
    ]
    return [option.replace("{engine}", training.engine).replace("{gpus}", str(training.gpus)) for option in given]


def _holds(group: TrainerOptions, training: Training, verl: Version, packages: Mapping[str, str]) -> bool:
    return (
        (group.since is None or verl >= Version(group.since))
        and (group.before is None or verl < Version(group.before))
        and group.backend in {None, training.backend}
        and group.engine in {None, training.engine}
        and (group.without is None or group.without not in packages)
    )


def command(training: Training, packages: Mapping[str, str]) -> list[str]:
    """The arguments of the environment's Python."""
    config = ["--config-name=ppo_megatron_trainer"] if training.backend == "megatron" else []
    return ["-m", load_training().module, *config, *options_for(training, packages)]


def figures_of(output: str) -> dict[str, float]:
    """The figures of the last step that verl's console logger printed; ``steps`` is how many it printed.

    A figure that is not a number is left out: nothing was measured then.
    """
    steps = [line for line in _ANSI.sub("", output).splitlines() if _STEP.search(line)]
    figures: dict[str, float] = {"steps": len({match[1] for line in steps if (match := _STEP.search(line))})}
    if steps:
        printed = {name: float(value) for name, value in _METRIC.findall(steps[-1])}
        for figure, metric in load_training().metrics.items():
            if math.isfinite(printed.get(metric.printed, math.nan)):
                figures[figure] = printed[metric.printed]
    return figures


def bounds_for(verl: str) -> tuple[dict[str, float], dict[str, float]]:
    """The upper and the lower bounds of the figures that a release of verl prints."""
    metrics = {
        name: metric
        for name, metric in load_training().metrics.items()
        if metric.since is None or Version(verl) >= Version(metric.since)
    }
    return (
        {name: metric.at_most for name, metric in metrics.items() if metric.at_most is not None},
        {name: metric.at_least for name, metric in metrics.items() if metric.at_least is not None},
    )
