"""``verl-env plan``: what would be installed, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.cli.console import print_json
from verl_env.cli.options import add_choice_arguments, add_machine_arguments, machine_from, request_from
from verl_env.errors import EXIT_NO, EXIT_OK

if TYPE_CHECKING:
    import argparse

    from verl_env.choose.model import Choice, Refusal, Request
    from verl_env.install.model import Plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env plan``."""
    add_choice_arguments(parser)
    add_machine_arguments(parser)
    parser.add_argument("--native", choices=("prebuilt", "build", "skip"), help="how native components get in")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--explain", action="store_true", help="every lockset that was refused, and each reason")


def main(args: argparse.Namespace) -> int:
    """Prints the plan, or why nothing fits."""
    from verl_env.choose.choose import choose
    from verl_env.choose.model import Choice
    from verl_env.install.plan import make_plan
    from verl_env.locksets.catalogue import load_catalogue, packages_of

    request = request_from(args)
    machine = machine_from(args)
    answer = choose(load_catalogue(), machine, request)
    if not isinstance(answer, Choice):
        return _refuse(answer, request, args)
    packages = packages_of(answer.lockset, answer.python)
    plan = make_plan(answer, packages, request, machine, native=args.native)
    _show(plan, answer, request, args)
    return EXIT_OK


def _refuse(refusal: Refusal, request: Request, args: argparse.Namespace) -> int:
    if args.json:
        from verl_env.choose.to_json import refusal_json

        print_json(refusal_json(refusal, request))
    else:
        from verl_env.cli.console import stdout_console
        from verl_env.cli.render_plan import render_refusal

        render_refusal(stdout_console(), refusal, request, explain=args.explain)
    return EXIT_NO


def _show(plan: Plan, choice: Choice, request: Request, args: argparse.Namespace) -> None:
    if args.json:
        from verl_env.install.plan_json import plan_to_json

        print_json(plan_to_json(plan, choice))
    else:
        from verl_env.cli.console import stdout_console
        from verl_env.cli.render_plan import render_choice

        render_choice(stdout_console(), choice, request, explain=args.explain)
