"""Nothing fits: the same words and the same JSON from every command that chooses."""

from __future__ import annotations

from verl_env.cli.console import print_json, unicode_ok
from verl_env.errors import EXIT_NO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from verl_env.choose.model import Refusal, Request
    from verl_env.machine.model import Machine


def refuse(
    refusal: Refusal,
    request: Request,
    machine: Machine,
    console: Callable[[], Console],
    *,
    as_json: bool,
    explain: bool = False,
) -> int:
    """Prints why nothing fits; the exit code that says so.

    Args:
        refusal: Every reason.
        request: What was asked for.
        machine: For which machine.
        console: Gives the console for text; JSON goes to stdout.
        as_json: Whether JSON was asked for.
        explain: Whether every lockset was asked for.
    """
    if as_json:
        from verl_env.choose.errors import NothingFitsError
        from verl_env.choose.explain import summary

        print_json(NothingFitsError(refusal, request, summary(refusal.evaluations)).document())
        return EXIT_NO
    from verl_env.cli.render.plan import render_refusal

    shown = console()
    render_refusal(shown, refusal, request, machine, explain=explain, unicode=unicode_ok(shown.file))
    return EXIT_NO
