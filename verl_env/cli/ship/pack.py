"""``verl-env pack``: an environment with its interpreter as one file."""

from __future__ import annotations

from pathlib import Path

from verl_env.cli.console import print_json, stderr_console, stdout_console
from verl_env.errors import EXIT_OK

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env pack``."""
    parser.add_argument("environment", metavar="ENV", type=Path, help="an environment that verl-env made")
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, required=True, help="FILE.squashfs, or FILE.tar.zst"
    )
    parser.add_argument("--no-bytecode", action="store_true", help="compile nothing: smaller, and slow at each start")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def main(args: argparse.Namespace) -> int:
    """Packs an environment."""
    from verl_env.bundle.packing.pack import pack
    from verl_env.records import as_dict
    from verl_env.sizes import human

    console = stderr_console()
    output = args.output.absolute()
    made = pack(args.environment, output, lambda line: console.print(line, markup=False), bytecode=not args.no_bytecode)
    size = output.stat().st_size
    if args.json:
        print_json({"schema": 1, "path": str(output), "file_bytes": size, **as_dict(made)})
        return EXIT_OK
    out = stdout_console()
    out.print(f"{args.output}: {human(size)}, one file for {made.files} of {human(made.bytes)}", markup=False)
    out.print(f"of the host it needs glibc {made.glibc or 'of any release'}, {', '.join(made.libraries)}", markup=False)
    out.print(f"on another host: verl-env unpack {args.output}, or: verl-env mount {args.output} DIR", markup=False)
    return EXIT_OK
