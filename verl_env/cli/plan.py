"""``verl-env plan``: what would be installed, and why."""

from __future__ import annotations

from verl_env.cli.console import print_json, say, stdout_console, unicode_ok, wrapped
from verl_env.cli.options import add_choice_arguments, add_machine_arguments, machine_from, request_from
from verl_env.errors import EXIT_OK

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from verl_env.choose.errors import NativeUnavailableError
    from verl_env.choose.model import Choice, Request
    from verl_env.machine.model import Machine
    from verl_env.plans.model import Plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env plan``."""
    add_choice_arguments(parser)
    add_machine_arguments(parser)
    parser.add_argument("--native", choices=("prebuilt", "build", "skip"), help="only wheels, only builds, or none")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--explain", action="store_true", help="every lockset that was refused, and each reason")


def main(args: argparse.Namespace) -> int:
    """Prints the plan, or why nothing fits."""
    from verl_env.choose.choose import choose
    from verl_env.choose.errors import NativeUnavailableError
    from verl_env.choose.model import Choice
    from verl_env.locksets.catalogue import load_catalogue, packages_of
    from verl_env.plans.plan import make_plan

    request = request_from(args)
    machine = machine_from(args)
    try:
        answer = choose(load_catalogue(), machine, request)
    except NativeUnavailableError as error:
        if args.explain and not args.json:
            _explain_missing(error)
        raise
    if isinstance(answer, Choice):
        packages = packages_of(answer.lockset, answer.python, verify=False)
        plan = make_plan(answer, packages, request, machine)
        show = _plan_as_json if args.json else _plan_as_text
        show(plan, answer, request, machine, args)
        return EXIT_OK
    from verl_env.cli.refusal import refuse

    return refuse(answer, request, machine, stdout_console, as_json=args.json, explain=args.explain)


def _explain_missing(error: NativeUnavailableError) -> None:
    from verl_env.cli.render.plan import marks_for, render_passed

    console = stdout_console()
    render_passed(console, error.passed, marks_for(console, unicode=unicode_ok()))


def _plan_as_json(plan: Plan, choice: Choice, *_: object) -> None:
    from verl_env.install.plan_json import plan_to_json

    print_json(plan_to_json(plan, choice))


def _plan_as_text(plan: Plan, choice: Choice, request: Request, machine: Machine, args: argparse.Namespace) -> None:
    from verl_env.cli.render.install import completeness, steps
    from verl_env.cli.render.plan import hang, render_choice
    from verl_env.command_line import command
    from verl_env.install.completeness import of_plan

    console = stdout_console()
    render_choice(console, choice, request, machine, explain=args.explain, unicode=unicode_ok())
    steps(console, plan)
    for warning in plan.warnings[len(choice.warnings) :]:
        hang(console, "warning: ", warning, style="bold yellow")
    completeness(console, of_plan(plan))
    asking = command("install", *plan.asked, "--dry-run")
    say(console, wrapped(console, f"nobody was asked whether all of it can be had: {asking}"))
