"""The entry point: finds the command, imports it alone, and words every error.

Exit codes: 0 done or healthy; 1 the answer is no; 2 wrong use or an internal fault; 130 interrupted (143 by SIGTERM).
"""

from __future__ import annotations

import gc
import os
import sys

from verl_env.cli.commands import COMMANDS, PROGRAM, module_of
from verl_env.errors import EXIT_MISUSE, EXIT_OK, InternalFaultError, MemoryExhaustedError, VerlEnvError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn, TextIO

EXIT_INTERRUPTED = 130
#: What nobody gets a right to by a loose umask: writing for everyone.
_WORLD_WRITES = 0o002


def run() -> NoReturn:
    """Runs the command line of this process and leaves with its exit code."""
    # A start makes tens of thousands of objects and no garbage: looking for it takes a twentieth of a short command.
    gc.set_threshold(50_000)
    os.umask(os.umask(0o077) | _WORLD_WRITES)
    try:
        code = main(sys.argv[1:], own_process=True)
    except SystemExit as end:  # of argparse, after --help
        code = end.code if isinstance(end.code, int) else EXIT_OK
    code = _flushed(code)
    if "verl_env.cli.parser" not in sys.modules:
        os._exit(code)
    sys.exit(code)


def _flushed(code: int) -> int:
    """The exit code, once all that was said is out; a reader who has gone is no fault, a full disk is."""
    lost = [stream for stream in (sys.stdout, sys.stderr) if stream is not None and not _flush(stream)]
    return code or (EXIT_MISUSE if lost else EXIT_OK)


def _flush(stream: TextIO) -> bool:
    try:
        stream.flush()
    except (OSError, ValueError) as error:
        _to_nobody(stream)
        return isinstance(error, BrokenPipeError)
    return True


def _to_nobody(stream: TextIO) -> None:
    """Has what nobody can read go nowhere, so that Python finds nothing to say of it at its end."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):
        return


def main(argv: Sequence[str], *, own_process: bool = False) -> int:
    """Runs one command line and returns its exit code; never raises for what a user can cause.

    Args:
        argv: The words after the program's name.
        own_process: Whether this process is there for it, so that the signals that end it are its own to handle.
    """
    try:
        return _dispatch(argv, own_process=own_process)
    except VerlEnvError as error:
        return _fail(error, argv)
    except KeyboardInterrupt as error:
        return int(getattr(error, "exit_code", EXIT_INTERRUPTED))
    except BrokenPipeError:
        _to_nobody(sys.stdout)
        return EXIT_OK
    except MemoryError:
        return _fail(MemoryExhaustedError(), argv)
    except Exception as error:  # noqa: BLE001  the last line of defence: no traceback reaches a user unasked
        return _fail(InternalFaultError(error), argv)


def _dispatch(argv: Sequence[str], *, own_process: bool) -> int:
    named = next((word for word in argv if not word.startswith("-")), None)
    if named is not None and named not in COMMANDS:
        raise UnknownCommandError(named)
    direct = getattr(__import__(module_of(named), fromlist=["direct"]), "direct", None) if named else None
    if direct is not None and (code := direct(argv)) is not None:
        return int(code)
    if own_process:
        from verl_env.interrupts import unwind_on_signals

        unwind_on_signals()
    from verl_env.cli.parser import build_parser

    args = build_parser([named] if named else []).parse_args(argv)
    return int(args.run(args))


def _fail(error: VerlEnvError, argv: Sequence[str]) -> int:
    import contextlib

    from verl_env.cli.console import print_error, print_json

    if "--json" in argv:
        with contextlib.suppress(OSError):  # of a full disk stderr tells alone
            print_json(error.document())
    print_error(error)
    return error.exit_code


class UnknownCommandError(VerlEnvError):
    """A first word that is no command; the hint names the nearest one."""

    id = "command-unknown"
    exit_code = EXIT_MISUSE
    word: str
    says = "there is no command {word!r}"

    @property
    def hint(self) -> str | None:
        import difflib

        near = difflib.get_close_matches(self.word, COMMANDS, n=1)
        return f"did you mean: {PROGRAM} {near[0]}" if near else f"see: {PROGRAM} --help"
