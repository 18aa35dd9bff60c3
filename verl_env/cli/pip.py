"""``verl-env pip``: add to an environment under its lockset's pins, take out of it, look at it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.cli.console import print_json, stderr_console, stdout_console
from verl_env.cli.options import own_environment
from verl_env.cli.parser import Formatter
from verl_env.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from verl_env.additions.model import Altered
    from verl_env.environment.history import Change
    from verl_env.installers.options import Options
    from verl_env.machine.model import Machine

_EPILOG = """\
install and uninstall take what pip takes (requirements, paths, addresses, -r, -c, -e, -U, --pre, --no-deps,
--index-url, --extra-index-url, --find-links, --no-build-isolation), and besides: --allow-drift, to move pins of the
lockset knowingly; --allow-builds, to build what an index has no wheel of, which runs its code (a checkout or a source
distribution that you name is built without it); --wheelhouse DIR, with wheels of native components among others;
--dry-run; --installer uv|pip.
Every other command of pip is passed on to it.
"""
#: Commands of pip that change an environment in ways of their own.
_REFUSED = {"sync": "verl-env install --stack ...", "lock": "verl-env lock", "compile": "verl-env plan --json"}


class _Plain(Formatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the epilog."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env pip``."""
    parser.epilog = _EPILOG
    parser.formatter_class = _Plain
    parser.add_argument(
        "--into", metavar="DIR", type=Path, help="the environment (default: the active one, else .venv)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout (install, uninstall)")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND ...", help="install, uninstall, list, ...")


def main(args: argparse.Namespace) -> int:
    """Does it.

    Raises:
        UsageError: no command is named, or one that has no place here.
        VerlEnvError: what is asked for cannot be had, or would move a pin.
    """
    args.into = own_environment(args.into)
    words = [word for word in args.words if word != "--"] if args.words[:1] == ["--"] else args.words
    if not words or words[0].startswith("-"):
        raise UsageError("name a command of pip, such as install or list", command="verl-env pip --help")
    command, rest = words[0], words[1:]
    if command in _REFUSED:
        raise UsageError(f"verl-env pip has no {command}", command=_REFUSED[command])
    if command == "install":
        return _install(args, rest)
    if command == "uninstall":
        return _uninstall(args, rest)
    return _pass_on(args, command, rest)


def _install(args: argparse.Namespace, words: Sequence[str]) -> int:
    from verl_env.additions.arguments import parse_install
    from verl_env.cli.render.install import InstallProgress
    from verl_env.install.alter.change import add

    wishes = parse_install(words, Path.cwd())
    altered = add(args.into, wishes, InstallProgress(stderr_console(), 0), _options(), _machine)
    _show(args, altered, done=not wishes.dry_run)
    return EXIT_OK


def _uninstall(args: argparse.Namespace, words: Sequence[str]) -> int:
    from verl_env.additions.arguments import parse_uninstall
    from verl_env.cli.render.install import InstallProgress
    from verl_env.install.alter.change import remove

    names, allow_drift = parse_uninstall(words)
    altered = remove(args.into, names, InstallProgress(stderr_console(), 0), allow_drift=allow_drift)
    _show(args, altered, done=True)
    return EXIT_OK


def _options() -> Options:
    from verl_env.installers.options import Options
    from verl_env.settings.config import build_cache_directory, cache_directory

    cache, built = cache_directory().absolute(), build_cache_directory().absolute()
    return Options(cache=cache, build_cache=built)


def _machine() -> Machine:
    from verl_env.cli.options import default_machine

    return default_machine(with_gpus=True)


def _pass_on(args: argparse.Namespace, command: str, words: Sequence[str]) -> int:
    """Becomes pip on the interpreter of the environment; uv for what pip has not."""
    from verl_env.additions.environment import open_environment, run_variables
    from verl_env.installers.pip import passed_on
    from verl_env.installers.uv import find_uv

    opened = open_environment(args.into)
    python = str(opened.target.path / "bin" / "python")
    uv = find_uv() if command == "tree" else None
    argv = uv.passed_on(python, command, words) if uv else passed_on(python, command, words)
    env = run_variables(opened, os.environ) | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    sys.stdout.flush()
    os.execve(argv[0], argv, env)  # noqa: S606 (its exit code and its signals are ours)


def _show(args: argparse.Namespace, altered: Altered, *, done: bool) -> None:
    if args.json:
        document = {"schema": 1, "path": str(altered.path), "done": done and bool(altered.changes)}
        lists = {"changes": _json(altered.changes), "moved": _json(altered.moved), "broken": list(altered.broken)}
        print_json({**document, **lists})
        return
    from verl_env.cli.render.install import STYLES, change_text

    console = stdout_console()
    for change in altered.changes:
        console.print(change_text(change), style=STYLES[change.kind], markup=False, highlight=False)
    if not altered.changes:
        console.print(f"nothing to do: {args.into} has it", markup=False, highlight=False)
    _warn(stderr_console(), altered)


def _warn(console: Console, altered: Altered) -> None:
    """What is no longer as the lockset has it."""
    lines = [f"{need}, which it no longer has" for need in altered.broken]
    if altered.moved:
        names = ", ".join(change.name for change in altered.moved)
        lines.append(f"{names}: no longer as locked; back to the lock: verl-env install")
    for line in lines:
        console.print(f"warning: {line}", style="yellow", markup=False, highlight=False)


def _json(changes: Sequence[Change]) -> list[dict[str, str | None]]:
    return [{"kind": each.kind, "name": each.name, "old": each.old, "new": each.new} for each in changes]
