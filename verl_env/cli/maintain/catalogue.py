"""``verl-env catalogue``: which catalogue of native components is in force; a newer, signed one; one for others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    import argparse
    from typing import Any

_DAYS = 90
#: Releases of a component that are shown, the newest.
_SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env catalogue``."""
    parser.add_argument(
        "action",
        choices=("show", "update", "reset", "sign"),
        help="which one is in force; fetch a signed one as configured; go back to the release's; publish one",
    )
    parser.add_argument("directory", metavar="DIR", nargs="?", type=Path, help="sign: where it is published from")
    parser.add_argument("--key", metavar="FILE", type=Path, help="sign: an Ed25519 private key in PEM")
    parser.add_argument("--days", metavar="N", type=int, default=_DAYS, help=f"sign: days that it is good ({_DAYS})")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def main(args: argparse.Namespace) -> int:
    """Does what is asked and shows which catalogue is in force then.

    Raises:
        UsageError: sign without a directory or a key, or these without sign.
        CatalogueError: a catalogue cannot be had or published; the one in force stays.
    """
    given = [args.directory is not None, args.key is not None]
    if not (all(given) if args.action == "sign" else not any(given)) or args.days < 1:
        raise UsageError("sign takes DIR and --key FILE, the others neither", command="verl-env catalogue --help")
    if args.action == "sign":
        return _sign(args)
    from verl_env.catalogue.update import origin, reset, update

    if args.action == "update":
        update()
    elif args.action == "reset":
        reset()
    return _show(origin(), as_json=args.json)


def _show(origin: dict[str, Any] | None, *, as_json: bool) -> int:
    from verl_env import __version__
    from verl_env.cli.console import print_json, say, stdout_console
    from verl_env.components.load import load_catalogue

    components = load_catalogue().components
    releases = {name: [release.version for release in components[name].releases] for name in components}
    if as_json:
        print_json({"schema": 1, "release": __version__, "fetched": origin, "releases": releases})
        return EXIT_OK
    console = stdout_console()
    text = f"the catalogue of verl-env {__version__}"
    if origin is not None:
        since = f"fetched {origin['fetched']}, good until {origin['expires']}"
        text = f"version {origin['version']} of {origin['url']}, {since}"
    say(console, text)
    for name, versions in releases.items():
        say(console, f"  {name}: {', '.join(versions[:_SHOWN])}")
    return EXIT_OK


def _sign(args: argparse.Namespace) -> int:
    from verl_env.catalogue.sign import sign
    from verl_env.cli.console import print_json, say, stdout_console

    root = sign(args.directory, args.key, days=args.days)
    if args.json:
        print_json({"schema": 1, "directory": str(args.directory), "root": str(root)})
        return EXIT_OK
    console = stdout_console()
    say(console, f"{args.directory} can be served; users give in their configuration:")
    say(console, f'  catalogue = {{ url = "https://HOST/PATH", root = "/PATH/{root.name}" }}')
    say(console, f"and get {root} by a way that they trust")
    return EXIT_OK
