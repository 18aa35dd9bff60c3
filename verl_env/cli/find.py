"""``verl-env find``: a wheel of a native component for any torch."""

from __future__ import annotations

from verl_env.cli.console import print_json, stdout_console, unicode_ok
from verl_env.cli.options import add_machine_arguments, machine_from, python_from
from verl_env.errors import EXIT_NO, EXIT_OK, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

HELP = "verl-env find --help"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env find``."""
    parser.add_argument("component", metavar="COMPONENT", help="flash-attn, transformer-engine, 'flash-attn>=2.8', ...")
    group = parser.add_argument_group("what it is for", "what is left out is not asked of a wheel")
    group.add_argument("--torch", metavar="V", help="torch, such as 2.8.0 or 2.8.0+cu128")
    group.add_argument("--cuda", metavar="V", help="the CUDA that torch was built for, such as 12.8 or cu128")
    group.add_argument("--python", metavar="V", help="the Python, such as 3.12")
    group.add_argument("--abi", choices=("old", "new"), help="torch's C++ ABI, where it is no wheel of PyTorch's")
    group.add_argument("--into", metavar="DIR", help="for the torch and Python of this environment")
    add_machine_arguments(parser)
    parser.add_argument("--all", action="store_true", help="also each wheel that does not fit, with its reasons")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def main(args: argparse.Namespace) -> int:
    """Prints every wheel that fits, the best first, and else why none does and what would work."""
    from verl_env.choose.errors import WishInvalidError
    from verl_env.choose.extra_requirements import parse_wishes
    from verl_env.choose.facts import facts_of
    from verl_env.choose.find.search import search
    from verl_env.choose.find.to_json import findings_json
    from verl_env.choose.find.world import world_of
    from verl_env.components.load import load_catalogue

    try:
        (asked,) = parse_wishes([args.component])
    except WishInvalidError as error:
        raise UsageError(f"{args.component!r} is no component: it {error.reason}", command=HELP) from None
    if asked.more or asked.marker:
        raise UsageError(f"{args.component!r} is more than a component and its versions", command=HELP)
    catalogue = load_catalogue()
    world = world_of(catalogue, **_stated(args))
    facts = facts_of(machine_from(args))
    findings = search(asked.name, asked.specifier, world, facts, catalogue)
    if args.json:
        print_json(findings_json(findings, facts))
    else:
        from verl_env.cli.render.find import render_findings

        render_findings(stdout_console(), findings, facts, every=args.all, into=args.into, unicode=unicode_ok())
    return EXIT_NO if findings.best is None else EXIT_OK


def _stated(args: argparse.Namespace) -> dict[str, Any]:
    """What the flags say; of an environment, what it says itself where no flag says otherwise."""
    flags = {"torch": args.torch, "cuda": args.cuda, "python": python_from(args.python, command=HELP), "abi": args.abi}
    if args.rocm is not None and args.cuda is None:
        flags["rocm"] = ".".join(args.rocm.split(".")[:2])
    if args.into is None:
        return flags
    return {**_environment(args.into), **{name: value for name, value in flags.items() if value is not None}}


def _environment(into: str) -> dict[str, Any]:
    """Torch, what it was built for and Python of an environment.

    Raises:
        NoEnvironmentError: there is none at that place.
        UsageError: it has no torch.
    """
    import os
    from pathlib import Path

    from verl_env.doctor.engines.metadata import by_name
    from verl_env.doctor.target import InspectedEnvironment

    target = InspectedEnvironment(Path(into), dict(os.environ))
    named = by_name(target.distributions)
    if "torch" not in named:
        raise UsageError(f"{into} has no torch; say which it is to be for, with --torch", command=HELP)
    version = str(named["torch"][0].version)
    flavour = target.torch_flavour or ""
    found: dict[str, Any] = {"torch": version, "python": ".".join(target.python.split(".")[:2])}
    if flavour.startswith("rocm"):
        return {**found, "rocm": flavour.removeprefix("rocm")}
    if flavour == "cpu":
        raise UsageError(f"{into} has torch {version} for the CPU alone; no GPU code loads into it", command=HELP)
    return {**found, **({"cuda": flavour} if flavour else {})}
