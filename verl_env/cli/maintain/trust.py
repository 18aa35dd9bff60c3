"""``verl-env trust``: the digests of what has no recorded hash; another file under the same address is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env trust``."""
    parser.add_argument("address", metavar="ADDRESS", nargs="?", help="of a file; without it, all are listed")
    parser.add_argument("digest", metavar="SHA256", nargs="?", help="accept the file with this digest from now on")
    parser.add_argument("--forget", action="store_true", help="forget it: the next file is taken as the first was")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def main(args: argparse.Namespace) -> int:
    """Lists, accepts or forgets.

    Raises:
        UsageError: what is no digest, or an address that nothing was taken from.
        DigestsUnreadableError: the file of digests is damaged.
    """
    from verl_env.cli.console import print_json, say, stdout_console
    from verl_env.locking import StillHeldError
    from verl_env.settings.digests import is_digest, own_digests, read_digests, remember

    digest = None if args.digest is None else args.digest.removeprefix("sha256:").lower()
    if digest is not None and (not is_digest(digest) or args.forget):
        raise UsageError(f"{args.digest!r} is no SHA-256 of 64 hexadecimal digits", command="verl-env trust --help")
    file = own_digests()
    known = read_digests(file)
    if args.address is not None and digest is None and args.address not in known:
        raise UsageError(f"nothing was taken from {args.address}", command="verl-env trust")
    if digest is not None or args.forget:
        if args.address is None:
            raise UsageError("say of which address", command="verl-env trust --help")
        try:
            remember(args.address, digest)
        except (OSError, StillHeldError) as error:
            reason = getattr(error, "strerror", None) or "another run is at it"
            raise UsageError(f"{file} cannot be written ({reason})", command="verl-env trust") from error
        known = read_digests(file)
    shown = known if args.address is None or args.forget else {args.address: known[args.address]}
    if args.json:
        print_json({"schema": 1, "file": str(file), "digests": shown})
        return EXIT_OK
    for address, kept in shown.items():
        say(stdout_console(), f"{address} sha256:{kept}")
    if not shown:
        say(stdout_console(), f"nothing is kept in {file}")
    return EXIT_OK
