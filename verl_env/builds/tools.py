"""What an installation works with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.records import record

if TYPE_CHECKING:
    from verl_env.builds.build_plan import BuildPlan
    from verl_env.installers.base import Installer


@record
class Tools:
    """What an installation works with, once it is certain that all of it is there; ``works`` is what is to be built."""

    installer: Installer
    interpreter: str
    works: BuildPlan | None = None
