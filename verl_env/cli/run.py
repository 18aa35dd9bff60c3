"""``verl-env run``: a command in an environment, with the variables of its lockset."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from verl_env.cli.console import stderr_console
from verl_env.cli.options import own_environment
from verl_env.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from verl_env.additions.environment import Opened
    from verl_env.environment.state import State


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env run``."""
    parser.add_argument(
        "--into", metavar="DIR", type=Path, help="the environment (default: the active one, else .venv)"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="say which variables of the lockset you override")
    parser.add_argument(
        "--any-machine", action="store_true", help="start it on a machine that it was not made for, too"
    )
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND ...", help="the command")


def main(args: argparse.Namespace) -> int:
    """Becomes the command: its signals and its exit code are its own.

    Raises:
        UsageError: no command is named.
        NotMadeHereError: verl-env did not make the environment.
        MachineMisfitError: this machine lacks what the environment needs.
        CommandMissingError: there is no such command.
        CommandRefusedError: it cannot be started.
    """
    from verl_env.additions.environment import open_environment, own_values, run_variables
    from verl_env.environment.state import read_state

    words = args.words[1:] if args.words[:1] == ["--"] else args.words
    if not words:
        raise UsageError("no command is named", command="verl-env run --help")
    into = own_environment(args.into)
    packed = _packed(into)
    if packed is not None:
        _compare(read_state(into), into, packed, args.any_machine, words)
        _become(words, packed, into)
    opened = open_environment(into)
    env = run_variables(opened, os.environ)
    _compare(opened.state, opened.target.path, env, args.any_machine, words)
    if args.verbose:
        for name, value in own_values(opened, os.environ).items():
            line = f"{name}={value} is yours; the lockset has {opened.state.env[name]}"
            stderr_console().print(line, markup=False, highlight=False)
    _warn_if_incomplete(opened, words, env)
    _become(words, env, opened.target.path)


def _compare(state: State | None, path: Path, env: dict[str, str], any_machine: bool, words: list[str]) -> None:
    """Holds this machine against what the environment needs, once however deep commands are nested."""
    from verl_env.cli.fit import COMPARED, check_machine

    if state is None or any_machine or os.environ.get(COMPARED) == str(path):
        return
    check_machine(state, path, words)
    env[COMPARED] = str(path)


def _packed(path: Path) -> dict[str, str] | None:
    """The variables of a packed prefix; None where it is none."""
    if not (path / "verl-env-pack.json").exists():
        return None
    from verl_env.bundle.packing.model import read_pack
    from verl_env.bundle.packing.running import packed_variables
    from verl_env.bundle.packing.unpack import check_host

    described = read_pack(path)
    if described is None:
        return None
    check_host(described, path)
    return packed_variables(path.absolute(), os.environ)


def _become(words: list[str], env: dict[str, str], path: Path) -> NoReturn:
    """Replaces this process by the command."""
    import shutil

    from verl_env.additions.errors import CommandMissingError, CommandRefusedError
    from verl_env.machine.system.job import as_in_job, has_amd_driver

    program = shutil.which(words[0], path=env["PATH"])
    if program is None and not ("/" in words[0] and os.path.lexists(words[0])):
        raise CommandMissingError(words[0], path)
    sys.stdout.flush()
    try:
        os.execve(program or words[0], words, as_in_job(env, amd=has_amd_driver()))  # noqa: S606 (the point of this command)
    except OSError as error:
        raise CommandRefusedError(words[0], error.strerror or str(error)) from error


def _warn_if_incomplete(opened: Opened, words: list[str], env: dict[str, str]) -> None:
    """Says on stderr what stops a trainer that is started here, once however deep commands are nested."""
    from verl_env.install.alter.trainers import TOLD, unhelped

    found = unhelped(opened, words)
    if found is None or os.environ.get(TOLD) == str(opened.target.path):
        return
    env[TOLD] = str(opened.target.path)
    for line in found.lines():
        stderr_console().print(line, markup=False, highlight=False, soft_wrap=True)
