"""What an installation works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verl_env.builds.build_plan import BuildPlan
    from verl_env.installers.base import Installer


@dataclass(frozen=True, slots=True)
class Tools:
    """What an installation works with, once it is certain that all of it is there; ``works`` is what is to be built."""

    installer: Installer
    interpreter: str
    works: BuildPlan | None = None
