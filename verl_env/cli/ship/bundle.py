"""``verl-env bundle``: everything that plans need, in one directory or file; or a look at one."""

from __future__ import annotations

import argparse
from pathlib import Path

from verl_env.cli.console import print_json, stderr_console, stdout_console
from verl_env.cli.options import add_choice_arguments, add_machine_arguments, request_from
from verl_env.errors import EXIT_OK, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from verl_env.bundle.contents import Planning
    from verl_env.bundle.model import Manifest
    from verl_env.choose.model import Refusal, Request
    from verl_env.machine.model import Machine


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env bundle``."""
    group = add_choice_arguments(parser, several=True)
    group.add_argument(
        "--native", choices=("prebuilt", "build", "skip"), help="native components: wheels, sources, or none"
    )
    group.add_argument("--no-verl", action="store_true", help="leave verl out")
    add_machine_arguments(parser)
    group = parser.add_argument_group("bundle")
    group.add_argument(
        "-o", "--output", metavar="DIR|FILE.tar", help="where; what is there of it is kept, what is not of it removed"
    )
    group.add_argument("--dry-run", action="store_true", help="show what it would hold, and fetch nothing")
    group.add_argument("--verify", metavar="DIR|FILE.tar", help="compare every file of a bundle with its manifest")
    group.add_argument("--list", metavar="DIR|FILE.tar", help="show what a bundle is for and what it holds")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("-v", "--verbose", action="store_true", help="list every file")


def main(args: argparse.Namespace) -> int:
    """Makes a bundle, or looks at one."""
    looks = [name for name in ("verify", "list") if getattr(args, name)]
    if len(looks) + (args.output is not None) > 1:
        raise UsageError("give one of -o, --verify and --list", command="verl-env bundle --help")
    if looks:
        return _look(args, Path(getattr(args, looks[0])), verify=bool(args.verify))
    if args.output is None and not args.dry_run:
        raise UsageError("say where: -o DIR or -o FILE.tar", command="verl-env bundle --help")
    plannings = []
    for request in _requests(args):
        planned = _plan(request, args)
        if not isinstance(planned, tuple):
            plannings.append(planned)
            continue
        from verl_env.cli.refusal import refuse

        return refuse(planned[0], request, planned[1], stderr_console, as_json=args.json)
    if args.dry_run:
        _show_outline(plannings, args)
        return EXIT_OK
    return _make(plannings, args)


def _requests(args: argparse.Namespace) -> list[Request]:
    """What is asked for: each lockset, with the stack that is named or all that it has; else each stack."""
    stacks, locksets = args.stack or [], args.lockset or []
    if not stacks and not locksets:
        raise UsageError("say for what: --stack S or --lockset ID", command="verl-env bundle --help")
    if locksets and len(stacks) > 1 and len(stacks) != len(locksets):
        raise UsageError(
            f"{len(stacks)} stacks for {len(locksets)} locksets: give one stack for all, or one for each",
            command="verl-env bundle --help",
        )
    if not locksets:
        return [_request(args, stack, None) for stack in dict.fromkeys(stacks)]
    paired = stacks * len(locksets) if len(stacks) == 1 else stacks or [None] * len(locksets)
    return [_request(args, stack, lockset) for lockset, stack in zip(locksets, paired, strict=True)]


def _request(args: argparse.Namespace, stack: str | None, lockset: str | None) -> Request:
    return request_from(argparse.Namespace(**{**vars(args), "stack": stack, "lockset": lockset}))


def _plan(request: Request, args: argparse.Namespace) -> Planning | tuple[Refusal, Machine]:
    """The plan for a request; a refusal with the machine where nothing fits."""
    from verl_env.bundle.contents import Planning
    from verl_env.choose.choose import choose
    from verl_env.choose.model import Choice
    from verl_env.cli.options import machine_from
    from verl_env.installers.options import Options
    from verl_env.locksets.catalogue import load_catalogue, packages_of
    from verl_env.plans.plan import make_plan
    from verl_env.settings.config import build_cache_directory, cache_directory

    machine = machine_from(args)
    choice = choose(load_catalogue(), machine, request)
    if not isinstance(choice, Choice):
        return choice, machine
    packages = packages_of(choice.lockset, choice.python)
    plan = make_plan(choice, packages, request, machine, with_verl=not args.no_verl)
    options = Options(
        cache=cache_directory().absolute(), build_cache=build_cache_directory().absolute(), machine=machine
    )
    return Planning(plan, choice, request, machine, options, verl=not args.no_verl)


def _make(plannings: list[Planning], args: argparse.Namespace) -> int:
    from verl_env.bundle.archive import make_archive
    from verl_env.bundle.make import make
    from verl_env.cli.render import bundle as render_bundle

    progress = render_bundle.BundleProgress(stderr_console())
    for planning in plannings:
        progress.note(f"{planning.plan.lockset.id} for Python {planning.plan.python}, {planning.plan.stack}")
    output = Path(args.output).absolute()
    if output.suffix == ".tar":
        manifest = make_archive(plannings, output, progress)
    else:
        manifest = make(plannings, output, progress)
    progress.end()
    _show(manifest, Path(args.output), args)
    return EXIT_OK


def _look(args: argparse.Namespace, path: Path, *, verify: bool) -> int:
    from verl_env.bundle.use import open_bundle
    from verl_env.cli.render import bundle as render_bundle

    bundle = open_bundle(path)
    if verify:
        progress = render_bundle.BundleProgress(stderr_console(), verb="checked")
        progress.expect(len(bundle.manifest.files), bundle.manifest.bytes)
        bundle.check(progress.bytes)
        progress.end()
    _show(bundle.manifest, path, args, verified=verify)
    return EXIT_OK


def _show(manifest: Manifest, path: Path, args: argparse.Namespace, *, verified: bool = False) -> None:
    from verl_env.cli.render import bundle as render_bundle

    if args.json:
        print_json(render_bundle.manifest_json(manifest, path, verified=verified))
    else:
        render_bundle.manifest(stdout_console(), manifest, path, verbose=args.verbose, verified=verified)


def _show_outline(plannings: list[Planning], args: argparse.Namespace) -> None:
    from verl_env.bundle.outline import Outlining
    from verl_env.cli.render import bundle as render_bundle

    outlined = Outlining(plannings).outline()

    if args.json:
        print_json(render_bundle.outline_json([each.plan for each in plannings], outlined))
    else:
        render_bundle.outline(stdout_console(), [each.plan for each in plannings], outlined, verbose=args.verbose)
