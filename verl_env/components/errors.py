"""What can be wrong with the catalogue of native components."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.errors import EXIT_MISUSE, VerlEnvError

if TYPE_CHECKING:
    from pathlib import Path


class ComponentInvalidError(VerlEnvError):
    """A file of the catalogue of native components that does not say what it must; ``key`` is the full path in it."""

    id = "component-invalid"
    exit_code = EXIT_MISUSE

    def __init__(self, file: Path, key: str, reason: str) -> None:
        super().__init__(file, key, reason)
        self.file = file
        self.key = key
        self.reason = reason

    @property
    def message(self) -> str:
        """File, key and reason."""
        where = f"{self.file}: {self.key}" if self.key else str(self.file)
        return f"{where}: {self.reason}"

    @property
    def hint(self) -> str:
        """The form of these files, and the way back."""
        return "docs/components.md has the form of these files; reinstall verl-env if you did not change it"
