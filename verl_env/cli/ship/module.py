"""``verl-env module``: module files of an environment."""

from __future__ import annotations

from pathlib import Path

from verl_env.cli.console import print_json, stderr_console, stdout_console
from verl_env.errors import EXIT_OK, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env module``."""
    parser.add_argument("environment", metavar="ENV", type=Path, help="an environment, or an unpacked or mounted pack")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, help="write both into DIR/NAME/, DIR of MODULEPATH")
    parser.add_argument("--name", default="verl", help="the name of the module (verl)")
    parser.add_argument("--language", choices=("lua", "tcl"), default="lua", help="what is printed without -o (lua)")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def main(args: argparse.Namespace) -> int:
    """Prints a module file, or writes both."""
    from verl_env.bundle.modulefiles.model import closed_at, module_of
    from verl_env.bundle.modulefiles.write import lua, tcl, write

    if not args.name or set(args.name) - _LETTERS:
        raise UsageError(f"--name {args.name!r} is no name of a module", command="verl-env module --help")
    module = module_of(args.environment, args.name)
    written = write(module, args.output) if args.output is not None else ()
    closed = closed_at(args.environment)
    if closed is not None:
        text = f"warning: other users cannot start its Python, as they may not enter {closed}"
        if closed not in args.environment.absolute().parents:
            text += "; make it anew with a Python that they can start (docs/hpc.md)"
        stderr_console().print(text, markup=False)
    if args.json:
        print_json(
            {
                "schema": 1,
                "name": module.name,
                "version": module.version,
                "path": module.path,
                "variables": dict(module.variables),
                "files": [str(path) for path in written],
                "closed": None if closed is None else str(closed),
            }
        )
    elif written:
        out = stdout_console()
        for path in written:
            out.print(str(path), markup=False)
        out.print(f"module use {args.output}; module load {module.name}/{module.version}", markup=False)
    else:
        print({"lua": lua, "tcl": tcl}[args.language](module), end="")
    return EXIT_OK


_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-")
