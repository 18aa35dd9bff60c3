"""What can go wrong when an environment is changed or turned back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.errors import VerlEnvError

if TYPE_CHECKING:
    from pathlib import Path


class RecordMissing(VerlEnvError):
    """A package has no RECORD, so that nobody knows which files are its own, and it cannot be replaced or taken out.

    Packages of Debian and Ubuntu are of this kind: the tool that installed them removes them.
    """

    id = "record-missing"

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name, path)
        self.name, self.path = name, path

    @property
    def message(self) -> str:
        return f"{self.name} in {self.path} has no RECORD: nobody knows which files are its own"

    @property
    def hint(self) -> str:
        return "remove it with the tool that installed it, or make the environment anew: verl-env install --stack ..."


class NothingToRollBack(VerlEnvError):
    """There is no generation before the one in force: nothing was changed yet, or it made room for another."""

    id = "rollback-nothing"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    @property
    def message(self) -> str:
        return f"there is nothing to go back to: {self.path} is as it was made, or what it was before is no longer kept"

    @property
    def hint(self) -> str:
        return f"what was done to it: verl-env history --into {self.path}"
