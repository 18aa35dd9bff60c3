"""What every way of installing ends with: a plan is shown, or carried out and what came of it shown."""

from __future__ import annotations

import sys
from pathlib import Path

from verl_env.cli.console import confirmed, print_json, stderr_console, stdout_console
from verl_env.errors import EXIT_NO, EXIT_OK

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from verl_env.builds.errors import NativeBuildFailedError
    from verl_env.choose.model import Choice, Request
    from verl_env.environment.target import Target
    from verl_env.installers.options import Options
    from verl_env.locksets.model import Package
    from verl_env.machine.model import Machine
    from verl_env.plans.inspection import Inspection
    from verl_env.plans.model import Plan, Provided


def options_from(args: argparse.Namespace, machine: Machine) -> Options:
    """How to install, as the flags and the configuration say."""
    from verl_env.installers.options import Options
    from verl_env.settings.config import build_cache_directory, cache_directory

    return Options(
        cache=cache_directory().absolute(),
        build_cache=build_cache_directory().absolute(),
        machine=machine,
        installer=args.installer,
        offline=args.offline,
        wheelhouse=None if args.wheelhouse is None else Path(args.wheelhouse),
        checks=not args.no_check,
        recorded_only=getattr(args, "require_recorded", False),
    )


def provided_by_site(choice: Choice, packages: Sequence[Package], machine: Machine) -> tuple[Provided, ...]:
    """What the site provides of what was chosen; nothing is looked at where none is configured.

    Raises:
        ProvidedMisfitError: it is not there, or not what the lock needs.
    """
    from verl_env.settings.config import load_config

    configured = load_config().provided
    if not configured:
        return ()
    from verl_env.install.provided import provided_for

    return provided_for(choice, packages, machine, configured)


def recorded_wishes(target: Target) -> tuple[str, ...]:
    """The native components that were added to an environment with ``verl-env pip``, as wishes."""
    from verl_env.additions.recorded import component_wishes
    from verl_env.environment.state import read_state

    current = target.current()
    return component_wishes(None if current is None else read_state(current))


def show_dry_run(plan: Plan, target: Target, options: Options, seen: Inspection, args: argparse.Namespace) -> int:
    """Shows what a plan would do; the exit code."""
    from verl_env.builds.build_plan import build_plan_of
    from verl_env.builds.outline import outline
    from verl_env.cli.fit import misfits_here, misfits_json, show_misfits
    from verl_env.cli.render import builds as render_builds
    from verl_env.cli.render import install as render_install
    from verl_env.install.completeness import of_plan
    from verl_env.install.prepare import foreseen, room_of

    _check_hashes(plan, options, seen)
    misfits = misfits_here(plan, options.machine, args, raising=False)
    room = room_of(target, options)
    problems = foreseen(plan, target, options, seen)
    works = None if seen.complete else build_plan_of(plan, options)
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


def carry_out(
    plan: Plan,
    target: Target,
    options: Options,
    seen: Inspection,
    chosen: tuple[Choice, Request],
    args: argparse.Namespace,
) -> int:
    """Carries out a plan and shows what came of it; the exit code."""
    from verl_env.cli.fit import misfits_here, misfits_json, show_misfits
    from verl_env.cli.render import install as render_install
    from verl_env.install.completeness import of_plan
    from verl_env.install.run import install

    _check_hashes(plan, options, seen)
    misfits = misfits_here(plan, options.machine, args)
    progress = render_install.InstallProgress(stderr_console(), len(plan.steps))
    if not seen.complete:
        render_install.chosen(stderr_console(), plan, *chosen)
        render_install.completeness(stderr_console(), of_plan(plan, into=args.into))
        if not _confirmed(plan, target, seen, args):
            return EXIT_NO
    from verl_env.builds.errors import NativeBuildFailedError

    try:
        outcome = install(plan, target, options, progress, seen)
    except NativeBuildFailedError as error:
        error.cause = _likely_cause(error)
        raise
    except KeyboardInterrupt:
        stderr_console().print(f"\ninterrupted; {target.path} is as it was", markup=False)
        raise
    if args.json:
        print_json({**render_install.outcome_json(plan, outcome, seen, into=args.into), **misfits_json(misfits)})
    else:
        render_install.outcome(stdout_console(), plan, outcome, into=args.into, verbose=args.verbose)
        render_install.completeness(stdout_console(), of_plan(plan, outcome.left_out, args.into, carried_out=True))
    show_misfits(stderr_console(), misfits)
    return EXIT_OK


def _confirmed(plan: Plan, target: Target, seen: Inspection, args: argparse.Namespace) -> bool:
    """Asks before an environment of another lockset is replaced, where somebody can answer."""
    other = seen.state is not None and seen.state.lockset != plan.lockset.id
    if not other or args.yes or args.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    before = "" if seen.state is None else seen.state.lockset
    return confirmed(f"{target.path} holds {before}; replace it by {plan.lockset.id}?")


def _likely_cause(error: NativeBuildFailedError) -> str | None:
    """What the doctor reads out of the log of a build."""
    from verl_env.doctor.ingest.logs import causes_in_log

    try:
        text = error.log.read_bytes().decode("utf-8", "replace")
    except OSError:
        return None
    finding = next(iter(causes_in_log(text)), None)
    return None if finding is None else f"{finding.cause} [{finding.id}]; {finding.remedy.text}"


def _check_hashes(plan: Plan, options: Options, seen: Inspection) -> None:
    """Refuses what has no recorded hash, where that was asked for."""
    if options.recorded_only and not seen.complete:
        from verl_env.install.recorded import refuse_unrecorded

        refuse_unrecorded(plan, options, seen.in_place)
