"""``verl-env config``: what is configured and from where; a first configuration file."""

from __future__ import annotations

import sys

from verl_env.cli.console import print_json, stderr_console, stdout_console
from verl_env.errors import EXIT_OK, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

_QUESTIONS = {
    "cache": "directory of downloads, on a file system with room ($SCRATCH/verl-env, or empty for ~/.cache/verl-env)",
    "build_cache": "directory of wheels built here, which others may share (empty: in that of downloads)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env config``."""
    parser.add_argument("action", choices=("show", "init"), help="show values and origins; or write a first file")
    parser.add_argument("--cache", metavar="DIR", help="init: the directory of downloads, such as '$SCRATCH/verl-env'")
    parser.add_argument("--build-cache", metavar="DIR", help="init: the directory of wheels built here")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def main(args: argparse.Namespace) -> int:
    """Shows or writes."""
    return _init(args) if args.action == "init" else _show(args)


def _show(args: argparse.Namespace) -> int:
    from verl_env.settings.origins import settings

    found = settings()
    if args.json:
        values = [{"key": each.key, "value": each.value, "origin": each.origin} for each in found]
        print_json({"schema": 1, "settings": values})
        return EXIT_OK
    for each in found:
        stdout_console().print(f"{each.key} = {each.value}  ({each.origin})", markup=False)
    return EXIT_OK


def _init(args: argparse.Namespace) -> int:
    from verl_env.settings.initial import write_initial
    from verl_env.settings.origins import own_file

    given = {"cache": args.cache, "build_cache": args.build_cache}
    asked = {key: value if value is not None else _ask(key) for key, value in given.items()}
    values = {key: value for key, value in asked.items() if value}
    if not values:
        raise UsageError("nothing to write: say --cache DIR, --build-cache DIR", command="verl-env config --help")
    file = own_file()
    write_initial(file, values)
    from verl_env.settings.config import load_config

    try:
        load_config()
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    if args.json:
        print_json({"schema": 1, "file": str(file), "settings": values})
    else:
        stdout_console().print(f"wrote {file}; see: verl-env config show", markup=False)
    return EXIT_OK


def _ask(key: str) -> str:
    """Asks where somebody can answer; nothing is guessed."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return ""
    stderr_console().print(f"{_QUESTIONS[key]}: ", end="", markup=False)
    return sys.stdin.readline().strip()
