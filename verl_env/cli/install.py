"""``verl-env install``: make or repair an environment."""

from __future__ import annotations

import sys
from pathlib import Path

from verl_env.cli.console import print_json, stderr_console, stdout_console
from verl_env.cli.options import add_choice_arguments, add_machine_arguments, machine_from, request_from
from verl_env.errors import EXIT_NO, EXIT_OK, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from verl_env.builds.errors import NativeBuildFailed
    from verl_env.choose.model import Choice, Request
    from verl_env.environment.target import Target
    from verl_env.install.inspect import Inspection
    from verl_env.install.model import Options, Plan
    from verl_env.machine.model import Machine


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
    from verl_env.install.houses import houses
    from verl_env.install.plan import make_plan
    from verl_env.install.reach.decide import Decided, Decider
    from verl_env.locksets.catalogue import load_catalogue, packages_of

    target = open_target(Path(args.into))
    if args.wheelhouse is not None:
        from verl_env.bundle.verify import is_bundle

        if is_bundle(Path(args.wheelhouse)):
            from verl_env.cli.install_bundle import install_from

            return install_from(Path(args.wheelhouse), target, args)
    if args.stack is None and args.lockset is None:
        raise UsageError("say what to install: --stack S", command="verl-env install --help")
    request = _with_recorded(request_from(args), target)
    verl_source = _verl_source(args)
    machine = machine_from(args)
    options = options_from(args, machine)
    locksets, components = load_catalogue(), with_wheels(load_components(), *houses(target, options))

    def planner(choice: Choice) -> Plan:
        packages = packages_of(choice.lockset, choice.python)
        return make_plan(choice, packages, request, machine, verl_source=verl_source, with_verl=not args.no_verl)

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


def recorded_wishes(target: Target) -> tuple[str, ...]:
    """The native components that were added to an environment with ``verl-env pip``, as wishes."""
    from verl_env.additions.recorded import component_wishes
    from verl_env.environment.state import read_state

    current = target.current()
    return component_wishes(None if current is None else read_state(current))


def _with_recorded(request: Request, target: Target) -> Request:
    """The request with the native components that were added to the environment with ``verl-env pip``."""
    from verl_env.records import replace

    more = recorded_wishes(target)
    return replace(request, wishes=tuple(dict.fromkeys([*request.wishes, *more]))) if more else request


def carry_out(
    plan: Plan,
    target: Target,
    options: Options,
    seen: Inspection,
    chosen: tuple[Choice, Request],
    args: argparse.Namespace,
) -> int:
    """Carries out a plan and shows what came of it; the exit code."""
    from verl_env.cli import render_install
    from verl_env.cli.fit import misfits_here, misfits_json, show_misfits
    from verl_env.install.completeness import of_plan
    from verl_env.install.run import install

    misfits = misfits_here(plan, options.machine, args)
    progress = render_install.Progress(stderr_console(), len(plan.steps))
    if not seen.complete:
        render_install.chosen(stderr_console(), plan, *chosen)
        render_install.completeness(stderr_console(), of_plan(plan, into=args.into))
        if not _confirmed(plan, target, seen, args):
            return EXIT_NO
    from verl_env.builds.errors import NativeBuildFailed

    try:
        outcome = install(plan, target, options, progress, seen)
    except NativeBuildFailed as error:
        error.cause = _likely_cause(error)
        raise
    except KeyboardInterrupt:
        stderr_console().print(f"\ninterrupted; {target.path} is as it was", markup=False)
        raise
    if args.json:
        print_json({**render_install.outcome_json(plan, outcome, seen, into=args.into), **misfits_json(misfits)})
    else:
        render_install.outcome(stdout_console(), plan, outcome, into=args.into, verbose=args.verbose)
        render_install.completeness(stdout_console(), of_plan(plan, outcome.left_out, args.into))
    show_misfits(stderr_console(), misfits)
    return EXIT_OK


def _likely_cause(error: NativeBuildFailed) -> str | None:
    """What the doctor reads out of the log of a build."""
    from verl_env.doctor.ingest.logs import causes_in_log

    try:
        text = error.log.read_bytes().decode("utf-8", "replace")
    except OSError:
        return None
    finding = next(iter(causes_in_log(text)), None)
    return None if finding is None else f"{finding.cause} [{finding.id}]; {finding.remedy.text}"


def show_dry_run(plan: Plan, target: Target, options: Options, seen: Inspection, args: argparse.Namespace) -> int:
    """Shows what a plan would do; the exit code."""
    from verl_env.builds.outline import outline
    from verl_env.builds.works import works_of
    from verl_env.cli import render_builds, render_install
    from verl_env.cli.fit import misfits_here, misfits_json, show_misfits
    from verl_env.install.completeness import of_plan
    from verl_env.install.prepare import foreseen, room_of

    misfits = misfits_here(plan, options.machine, args, raising=False)
    room = room_of(target, options)
    problems = foreseen(plan, target, options, seen)
    works = None if seen.complete else works_of(plan, options)
    built = ((), ()) if works is None else outline(works, seen.in_place)
    if args.json:
        shown = render_install.dry_run_json(plan, target, seen, room=room, problems=problems, into=args.into)
        print_json({**shown, **misfits_json(misfits), **(render_builds.builds_json(*built) if works else {})})
    else:
        render_install.dry_run(stdout_console(), plan, target, seen, room=room, verbose=args.verbose)
        render_install.problems(stdout_console(), problems)
        render_builds.builds(stdout_console(), *built)
        render_install.completeness(stdout_console(), of_plan(plan, render_install.known_missing(seen), args.into))
        show_misfits(stdout_console(), misfits)
    return EXIT_OK


def _verl_source(args: argparse.Namespace) -> str | None:
    if args.verl_source is None:
        return None
    from verl_env.install.verl_source import check_verl_source

    return check_verl_source(Path(args.verl_source))


def options_from(args: argparse.Namespace, machine: Machine) -> Options:
    """How to install, as the flags and the configuration say."""
    from verl_env.install.model import Options
    from verl_env.settings.config import build_cache_directory, cache_directory

    return Options(
        cache=cache_directory().absolute(),
        build_cache=build_cache_directory().absolute(),
        machine=machine,
        installer=args.installer,
        offline=args.offline,
        wheelhouse=None if args.wheelhouse is None else Path(args.wheelhouse),
        checks=not args.no_check,
    )


def _confirmed(plan: Plan, target: Target, seen: Inspection, args: argparse.Namespace) -> bool:
    """Asks before an environment of another lockset is replaced, where somebody can answer."""
    other = seen.state is not None and seen.state.lockset != plan.lockset.id
    if not other or args.yes or args.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    before = "" if seen.state is None else seen.state.lockset
    print(f"{target.path} holds {before}; replace it by {plan.lockset.id}? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
