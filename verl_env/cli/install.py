"""``verl-env install``: make or repair an environment."""

from __future__ import annotations

from pathlib import Path

from verl_env.cli.carry_out import carry_out, options_from, provided_by_site, recorded_wishes, show_dry_run
from verl_env.cli.console import stderr_console
from verl_env.cli.options import add_choice_arguments, add_machine_arguments, machine_from, request_from
from verl_env.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from verl_env.choose.model import Choice, Request
    from verl_env.environment.target import Target
    from verl_env.plans.model import Plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env install``."""
    add_choice_arguments(parser)
    add_machine_arguments(parser)
    group = parser.add_argument_group("environment")
    group.add_argument("--into", metavar="DIR", default=".venv", help="the environment (default: .venv)")
    group.add_argument("--installer", choices=("uv", "pip"), help="default: uv where it is there, else pip")
    group.add_argument(
        "--native",
        choices=("prebuilt", "build", "skip"),
        help="only wheels, only builds, or none (default: wheels that fit, else builds)",
    )
    verl = group.add_mutually_exclusive_group()
    verl.add_argument("--verl-source", metavar="DIR", help="install this checkout of verl, editable")
    verl.add_argument("--no-verl", action="store_true", help="leave verl out")
    group.add_argument("--offline", action="store_true", help="use no index, only --wheelhouse or uv's cache")
    group.add_argument("--wheelhouse", metavar="DIR", help="a directory of wheels, or a bundle (DIR or FILE.tar)")
    group.add_argument(
        "--require-recorded",
        action="store_true",
        help="refuse what has no recorded hash, before anything is downloaded",
    )
    group.add_argument("--no-check", action="store_true", help="do not run the lockset's checks")
    group.add_argument("--dry-run", action="store_true", help="show what would be done, and change nothing")
    group.add_argument("--yes", action="store_true", help="ask nothing")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("-v", "--verbose", action="store_true", help="show every package that changes")


def main(args: argparse.Namespace) -> int:
    """Makes or repairs the environment, or shows what would be done."""
    from verl_env.choose.choose import choose
    from verl_env.components.housed import with_wheels
    from verl_env.components.load import load_catalogue as load_components
    from verl_env.environment.target import open_target
    from verl_env.install.houses import check_wheelhouse, houses
    from verl_env.install.reach.decide import Decided, Decider
    from verl_env.locksets.catalogue import load_catalogue, packages_of
    from verl_env.plans.plan import make_plan

    target = open_target(Path(args.into))
    if args.wheelhouse is not None:
        from verl_env.bundle.verify import is_bundle

        if is_bundle(Path(args.wheelhouse)):
            from verl_env.cli.ship.install_bundle import install_from

            return install_from(Path(args.wheelhouse), target, args)
        check_wheelhouse(Path(args.wheelhouse))
    if args.stack is None and args.lockset is None:
        raise UsageError("say what to install: --stack S", command="verl-env install --help")
    request = _with_recorded(request_from(args), target)
    verl_source = _verl_source(args)
    machine = machine_from(args, builds_here=True)
    options = options_from(args, machine)
    locksets, components = load_catalogue(), with_wheels(load_components(), *houses(target, options))

    def planner(choice: Choice) -> Plan:
        packages = packages_of(choice.lockset, choice.python)
        ours = provided_by_site(choice, packages, machine)
        verl = not args.no_verl
        return make_plan(choice, packages, request, machine, verl_source=verl_source, with_verl=verl, provided=ours)

    decider = Decider(
        lambda barred: choose(locksets, machine, request, components=components, barred=barred),
        planner,
        target,
        options,
        tell=_tell,
    )
    decided = decider.decide()
    if not isinstance(decided, Decided):
        from verl_env.cli.refusal import refuse

        return refuse(decided, request, machine, stderr_console, as_json=args.json)
    if args.dry_run:
        return show_dry_run(decided.plan, target, options, decided.seen, args)
    return carry_out(decided.plan, target, options, decided.seen, (decided.choice, request), args)


def _tell(message: str) -> None:
    """Says on stderr what may take some seconds."""
    stderr_console().print(message, style="dim", markup=False, highlight=False)


def _with_recorded(request: Request, target: Target) -> Request:
    """The request with the native components that were added to the environment with ``verl-env pip``."""
    from verl_env.records import replace

    more = recorded_wishes(target)
    return replace(request, wishes=tuple(dict.fromkeys([*request.wishes, *more]))) if more else request


def _verl_source(args: argparse.Namespace) -> str | None:
    if args.verl_source is None:
        return None
    from verl_env.install.verl_source import check_verl_source

    return check_verl_source(Path(args.verl_source))
