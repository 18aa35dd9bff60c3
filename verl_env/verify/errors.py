"""What can go wrong before anything is proved."""

from __future__ import annotations

from verl_env.errors import EXIT_MISUSE, VerlEnvError


class PartUnknown(VerlEnvError):
    """There is no part of that name."""

    id = "verify-part-unknown"
    exit_code = EXIT_MISUSE

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(name)
        self.name = name
        self.known = known

    @property
    def message(self) -> str:
        return f"there is no part {self.name!r}; there are {', '.join(self.known)}"

    @property
    def hint(self) -> str:
        return "verl-env verify --list"
