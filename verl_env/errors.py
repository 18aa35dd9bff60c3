"""The base of every error that verl-env shows to a user.

An error carries objects; its class words them. Each class has a stable kebab-case ``id`` (users grep for it, and
``docs/errors.md`` has an entry for it), a one-line ``message``, and, where a command helps, a ``hint``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

#: Exit codes of every command (``docs/architecture.md``, "Exit codes").
EXIT_OK = 0
EXIT_NO = 1
EXIT_MISUSE = 2


class VerlEnvError(Exception):
    """Something the user must know, worded for the user.

    Subclasses set ``id`` and define ``message`` and, where there is a way on, ``hint``.
    """

    id: str = "internal"
    exit_code: int = EXIT_NO

    @property
    def message(self) -> str:
        """What went wrong and why: one sentence, without a trailing full stop."""
        return str(self.args[0]) if self.args else self.id

    @property
    def hint(self) -> str | None:
        """The way on, with the command to run; None where there is none."""
        return None

    def __str__(self) -> str:
        return self.message

    def to_json(self) -> dict[str, Any]:
        """The error as the ``error`` object of ``--json`` output; a class may add what it carries."""
        return {"id": self.id, "message": self.message, "hint": self.hint}

    def document(self) -> dict[str, Any]:
        """The whole document of ``--json``; a class may add what its command's document has beside the error."""
        return {"schema": 1, "error": self.to_json()}


class DataInvalidError(VerlEnvError):
    """A data file that does not say what it must; ``key`` is the full path of the key in it, empty for the file."""

    exit_code = EXIT_MISUSE

    def __init__(self, file: str | Path, key: str, reason: str) -> None:
        super().__init__(file, key, reason)
        self.file = file
        self.key = key
        self.reason = reason

    @property
    def message(self) -> str:
        """File, key and reason."""
        where = f"{self.file}: {self.key}" if self.key else str(self.file)
        return f"{where}: {self.reason}"


class UsageError(VerlEnvError):
    """The command line asks for something that makes no sense; ``command`` is the one that tells more."""

    id = "usage"
    exit_code = EXIT_MISUSE

    def __init__(self, reason: str, *, command: str) -> None:
        super().__init__(reason)
        self.command = command

    @property
    def hint(self) -> str:
        return f"see: {self.command}"


class InternalFault(VerlEnvError):
    """A defect of verl-env itself; the traceback is shown when ``VERL_ENV_DEBUG`` is set."""

    id = "internal-fault"
    exit_code = EXIT_MISUSE

    def __init__(self, cause: Exception) -> None:
        super().__init__(cause)
        self.cause = cause

    @property
    def message(self) -> str:
        return f"verl-env itself failed ({type(self.cause).__name__}: {self.cause})"

    @property
    def hint(self) -> str:
        return "run the same command with VERL_ENV_DEBUG=1 and report what it prints"
