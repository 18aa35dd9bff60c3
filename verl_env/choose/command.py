"""A request as the command line that asks for it again."""

from __future__ import annotations

from verl_env.command_line import command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from verl_env.choose.model import Request


def plan_command(request: Request, *more: str) -> str:
    """``verl-env plan`` with every choice and machine flag of a request, and ``more`` behind them."""
    return command("plan", *words_of(request), *more)


def words_of(request: Request) -> tuple[str, ...]:
    """The choice flags of a request, then the flags that describe its machine."""
    flags = {
        "--stack": request.name or None,
        "--verl": request.verl,
        "--lockset": request.lockset,
        "--python": request.python,
        "--native": request.native,
    }
    given = [word for flag, value in flags.items() if value for word in (flag, value)]
    wishes = [word for wish in request.wishes for word in ("--with", wish)]
    return (*given, *wishes, *(["--preview"] if request.preview else []), *request.described)


def redescribed(described: tuple[str, ...], flags: Mapping[str, str]) -> tuple[str, ...]:
    """The words that describe a machine, with other values for some flags; an empty one takes a flag out."""
    merged = {**dict(zip(described[::2], described[1::2], strict=True)), **flags}
    return tuple(word for flag, value in merged.items() if value for word in (flag, value))
