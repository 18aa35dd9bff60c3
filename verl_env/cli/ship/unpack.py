"""``verl-env unpack``: a pack into a directory, each file checked."""

from __future__ import annotations

from pathlib import Path

from verl_env.cli.console import print_json, stdout_console
from verl_env.errors import EXIT_OK

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env unpack``."""
    parser.add_argument("file", metavar="FILE", type=Path, help="what verl-env pack made")
    parser.add_argument("directory", metavar="DIR", type=Path, nargs="?", help="default: FILE without its ending")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def main(args: argparse.Namespace) -> int:
    """Unpacks."""
    from verl_env.bundle.packing.unpack import unpack
    from verl_env.records import as_dict

    target, described = unpack(args.file, args.directory)
    if args.json:
        print_json({"schema": 1, "path": str(target), **as_dict(described)})
    else:
        stdout_console().print(f"{target}: {described.lockset}, Python {described.python}", markup=False)
        stdout_console().print(f"verl-env run --into {target} -- COMMAND, or {target}/bin/python", markup=False)
    return EXIT_OK
