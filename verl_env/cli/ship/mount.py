"""``verl-env mount``: a pack as a read-only directory, without unpacking it."""

from __future__ import annotations

from pathlib import Path

from verl_env.cli.console import print_json, stdout_console
from verl_env.errors import EXIT_OK

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env mount``."""
    parser.add_argument("file", metavar="FILE", type=Path, help="a squashfs image that verl-env pack made")
    parser.add_argument("directory", metavar="DIR", type=Path, help="where; made if it is not there")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def main(args: argparse.Namespace) -> int:
    """Mounts."""
    from verl_env.bundle.packing.unpack import mount
    from verl_env.records import as_dict

    described = mount(args.file, args.directory.absolute())
    if args.json:
        print_json({"schema": 1, "path": str(args.directory.absolute()), **as_dict(described)})
    else:
        stdout_console().print(f"{args.directory}: {described.lockset}, Python {described.python}", markup=False)
        stdout_console().print(f"verl-env run --into {args.directory} -- COMMAND", markup=False)
    return EXIT_OK
