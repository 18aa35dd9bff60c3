"""``verl-env install --wheelhouse BUNDLE``: what the bundle is for, from the bundle alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.cli.console import stderr_console
from verl_env.cli.options import described_words, machine_from, python_from, request_from, site_rules
from verl_env.command_line import command
from verl_env.errors import UsageError
from verl_env.records import replace

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from verl_env.bundle.model import Planned
    from verl_env.bundle.use import Bundle
    from verl_env.choose.model import Choice, Refusal, Request
    from verl_env.environment.target import Target
    from verl_env.machine.model import Machine
    from verl_env.plans.model import Plan


def install_from(path: Path, target: Target, args: argparse.Namespace) -> int:
    """Installs from a bundle, or shows what would be done; the exit code.

    Raises:
        BundleInvalidError: it is none.
        BundleDamagedError: its files are not those of its manifest.
        BundleLacksError: it is not for what is asked for.
        BundleMisfitError: it is not for this machine.
    """
    from verl_env.bundle.use import check_lock, open_bundle
    from verl_env.choose.model import Choice
    from verl_env.cli.carry_out import carry_out, options_from, show_dry_run
    from verl_env.install.inspect import inspect
    from verl_env.install.interpreter import find_interpreter

    if args.verl_source is not None:
        raise UsageError(
            "a checkout is built with what an index has, which a bundle lacks; install with --no-verl, then: "
            f"verl-env pip install --no-deps -e {args.verl_source}",
            command="verl-env install --help",
        )
    bundle = open_bundle(path)
    planned, request, choice, machine = _choose(bundle, target, machine_from(args, builds_here=True), args)
    if not isinstance(choice, Choice):
        from verl_env.cli.refusal import refuse

        return refuse(choice, request, machine, stderr_console, as_json=args.json)
    check_lock(bundle, planned, choice.lockset)
    plan = _plan(bundle, planned, choice, request, machine, args)
    options = replace(
        options_from(args, machine),
        offline=True,
        wheelhouse=None,
        cache=bundle.built_here,
        build_cache=bundle.built_here / "built",
    )
    seen = inspect(plan, target, options)
    if args.dry_run:
        with bundle.outlined() as wheels:
            return show_dry_run(plan, target, replace(options, wheelhouse=wheels), seen, args)
    if not seen.complete:
        find_interpreter(plan.python, plan.interpreter)  # told before gigabytes are read
        _check(bundle)
    with bundle.closed(target) as wheels:
        return carry_out(plan, target, replace(options, wheelhouse=wheels), seen, (choice, request), args)


def _choose(
    bundle: Bundle, target: Target, machine: Machine, args: argparse.Namespace
) -> tuple[Planned, Request, Choice | Refusal, Machine]:
    """The first plan of the bundle that fits the machine; where none does, the refusal of the first.

    With it the machine that it is for.
    """
    from verl_env.bundle.errors import BundleMisfitError
    from verl_env.bundle.use import check_fit, machine_for, request_of
    from verl_env.choose.choose import choose
    from verl_env.choose.errors import NativeUnavailableError
    from verl_env.choose.model import Choice
    from verl_env.cli.carry_out import recorded_wishes
    from verl_env.locksets.catalogue import load_catalogue

    asked = None if args.stack is None else request_from(args)
    wishes = [*args.wishes, *recorded_wishes(target)]
    if asked is None and args.lockset:
        raise UsageError("--lockset needs its --stack", command=f"verl-env bundle --list {bundle.path}")
    python = python_from(args.python, command="verl-env install --help")
    refused: list[tuple[Planned, Request, Refusal, Machine]] = []
    misfits: list[BundleMisfitError] = []
    for planned in bundle.plans(asked, python):
        request = replace(request_of(planned, native=args.native, wishes=wishes), rules=site_rules())
        try:
            check_fit(bundle, planned, machine)
        except BundleMisfitError as error:
            misfits.append(error)
            continue
        meant = machine if described_words(args) else machine_for(planned, machine)
        try:
            choice = choose(load_catalogue(), meant, request)
        except NativeUnavailableError as error:
            error.way = _without_natives(bundle, args)
            raise
        if isinstance(choice, Choice):
            return planned, request, choice, meant
        refused.append((planned, request, choice, meant))
    if refused:
        return refused[0]
    raise misfits[0]


def _without_natives(bundle: Bundle, args: argparse.Namespace) -> str:
    """The way on where a component cannot be built on this host, as commands for this very bundle."""
    stack = () if args.stack is None else ("--stack", args.stack)
    again = ("--offline", "--wheelhouse", bundle.path, *stack, "--into", args.into)
    return (
        f"where a compiler is missing, put it on PATH (on a cluster by a module), then: {command('install', *again)}\n"
        f"  or leave components out: {command('install', *again, '--native', 'skip')}"
    )


def _plan(
    bundle: Bundle, planned: Planned, choice: Choice, request: Request, machine: Machine, args: argparse.Namespace
) -> Plan:
    from verl_env.bundle.use import with_built
    from verl_env.cli.carry_out import provided_by_site
    from verl_env.locksets.catalogue import packages_of
    from verl_env.plans.plan import make_plan

    packages = packages_of(choice.lockset, choice.python)
    verl, ours = planned.verl and not args.no_verl, provided_by_site(choice, packages, machine)
    plan = make_plan(choice, packages, request, machine, with_verl=verl, provided=ours)
    return with_built(plan, bundle.manifest)


def _check(bundle: Bundle) -> None:
    """Compares every file with the manifest, and says so: gigabytes are read."""
    from verl_env.cli.render.bundle import BundleProgress

    progress = BundleProgress(stderr_console(), verb="checked")
    progress.expect(len(bundle.manifest.files), bundle.manifest.bytes)
    bundle.check(progress.bytes)
    progress.end()
