"""The base of every error that verl-env shows to a user.

An error carries values, and its class words them. Each class has a stable kebab-case ``id`` (users grep for it, and
``docs/errors.md`` has an entry for it), a one-line ``message``, and, where a command helps, a ``hint``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, ClassVar

    from typing_extensions import dataclass_transform
else:
    from verl_env.records import dataclass_transform

#: Exit codes of every command (``docs/architecture.md``, "Exit codes").
EXIT_OK = 0
EXIT_NO = 1
EXIT_MISUSE = 2


@dataclass_transform()
class VerlEnvError(Exception):
    """Something the user must know, worded for the user.

    Subclasses are declarations: ``id``; the values that they carry, as annotated names in the order in which they are
    given; ``says`` and ``helps``, the message and the hint with these names in braces (``verl_env/wording.py`` has the
    forms). Where a text needs logic, a class defines ``message`` or ``hint`` instead. Lists are kept as tuples.
    """

    id: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = EXIT_NO
    says: ClassVar[str] = ""
    helps: ClassVar[str] = ""
    fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        cls.fields = (*cls.fields, *(name for name in cls.__annotations__ if name not in cls.fields))
        for name, text in (("message", "says"), ("hint", "helps")):
            if isinstance(worded := cls.__dict__.get(name), property):
                setattr(cls, name, _without_secrets(worded))
            elif text in cls.__dict__:  # it goes before a method of a base
                setattr(cls, name, VerlEnvError.__dict__[name])

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given)
        if not self.fields:
            return
        values = {**dict(zip(self.fields, given, strict=False)), **named}
        lacking = [name for name in self.fields if name not in values and not hasattr(type(self), name)]
        if lacking or len(values) != len(given) + len(named) or not values.keys() <= set(self.fields):
            raise TypeError(f"{type(self).__name__} takes {', '.join(self.fields)}, not {given!r} and {named!r}")
        for name, value in values.items():
            setattr(self, name, tuple(value) if isinstance(value, list) else value)

    @property
    def message(self) -> str:
        """What went wrong and why: one sentence, without a trailing full stop."""
        if self.says:
            return _hidden(self._worded(self.says))
        return _hidden(str(self.args[0])) if self.args else self.id

    @property
    def hint(self) -> str | None:
        """The way on, with the command to run; None where there is none."""
        return _hidden(self._worded(self.helps)) if self.helps else None

    def _worded(self, text: str) -> str:
        from verl_env.wording import worded  # noqa: PLC0415 (few runs end in an error)

        return worded(text, self)

    def __str__(self) -> str:
        return self.message

    def to_json(self) -> dict[str, Any]:
        """The error as the ``error`` object of ``--json`` output; a class may add what it carries."""
        return {"id": self.id, "message": self.message, "hint": self.hint}

    def document(self) -> dict[str, Any]:
        """The whole document of ``--json``; a class may add what its command's document has beside the error."""
        return {"schema": 1, "error": self.to_json()}


def _hidden(text: str) -> str:
    from verl_env.credentials import hide_secrets  # noqa: PLC0415 (few runs end in an error)

    return hide_secrets(text)


def _without_secrets(worded: property) -> property:
    """A text of an error whose values may hold passwords: what a server, git or an installer said."""

    def text(error: VerlEnvError) -> str | None:
        found = worded.__get__(error)
        return None if found is None else _hidden(found)

    return property(text, doc=worded.__doc__)


class DataInvalidError(VerlEnvError):
    """A data file that does not say what it must; ``key`` is the full path of the key in it, empty for the file."""

    exit_code = EXIT_MISUSE
    file: str | Path
    key: str
    reason: str
    says = "{file}{key:+: {key}}: {reason}"


class UsageError(VerlEnvError):
    """The command line asks for something that makes no sense; ``command`` is the one that tells more."""

    id = "usage"
    exit_code = EXIT_MISUSE
    reason: str
    command: str
    says = "{reason}"
    helps = "see: {command}"


class MemoryExhaustedError(VerlEnvError):
    """This process may not have as much memory as it needs; most commands take less than 200 MB."""

    id = "memory-exhausted"
    exit_code = EXIT_MISUSE
    says = "there is no memory left that this process may have"
    helps = "look at the limits of this shell and host: ulimit -v; free -h"


class InternalFaultError(VerlEnvError):
    """A defect of verl-env itself; the traceback is shown when ``VERL_ENV_DEBUG`` is set."""

    id = "internal-fault"
    exit_code = EXIT_MISUSE
    cause: Exception
    says = "verl-env itself failed ({cause.__class__.__name__}: {cause})"
    helps = "run the same command with VERL_ENV_DEBUG=1 and report what it prints"
