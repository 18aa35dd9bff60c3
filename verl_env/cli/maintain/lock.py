"""``verl-env lock``: regenerates locksets from their recipes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.cli.console import print_json
from verl_env.errors import EXIT_NO, EXIT_OK, UsageError
from verl_env.reading import what_is

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from verl_env.locksets.locking import LockOutcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env lock``."""
    parser.add_argument("ids", nargs="*", metavar="ID", help="a lockset id or its last part; none: every recipe")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 where files are not what recipes give"
    )
    parser.add_argument("--offline", action="store_true", help="only what needs no index, of every recipe")
    parser.add_argument(
        "--hashes", action="store_true", help="resolve nothing: only the hashes of what is pinned, from the index"
    )
    parser.add_argument(
        "--record",
        metavar="ENV|FILE",
        type=Path,
        help="instead: an environment that was made, or a proof of verl-env verify, becomes data of its lockset",
    )
    parser.add_argument("--seen", metavar="PLACE", help="with --record ENV: where the documentation tells of it")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--new", metavar="FILE", help="instead: the draft of a recipe from a Dockerfile")
    parser.add_argument("--measure", metavar="ENV", help="instead: glibc and GPU code of an installed environment")
    parser.add_argument(
        "--releases",
        action="store_true",
        help="instead: the table of what each release of the stack asks for; with --check, a sample of it",
    )
    parser.add_argument(
        "--names",
        action="store_true",
        help="instead: the tables of the names that releases have, of the projects given as ID; with --check, a sample",
    )


def main(args: argparse.Namespace) -> int:
    """Runs ``verl-env lock``.

    Raises:
        UsageError: flags that make no sense together.
    """
    if args.new:
        return _draft(args)
    if args.measure:
        return _measure(args.measure)
    if args.record:
        from verl_env.cli.maintain.lock_record import record

        print(f"wrote {record(args.record, args.seen)}", file=sys.stderr)
        args.offline = True
    if args.releases:
        return _releases(args)
    if args.names:
        return _names(args)
    outcomes = _outcomes(args)
    if args.json:
        print_json({"schema": 1, "locksets": [_as_json(outcome) for outcome in outcomes]})
    else:
        for outcome in outcomes:
            _show(outcome, check=args.check)
    changed = any(outcome.differences for outcome in outcomes)
    return EXIT_NO if args.check and changed else EXIT_OK


def _outcomes(args: argparse.Namespace) -> tuple[LockOutcome, ...]:
    from verl_env.installers.configured import configured_index
    from verl_env.installers.step_resolver import UvResolver
    from verl_env.locksets.index import Index
    from verl_env.locksets.locking import check_offline, lock, refresh

    if args.offline and args.hashes:
        raise UsageError("--hashes asks the index, --offline does not", command="verl-env lock --check --hashes")
    if args.offline and args.ids:
        raise UsageError("--offline looks at every recipe", command="verl-env lock --check --offline")
    compiled = _compiled(check=args.check)
    if args.offline:
        outcomes = check_offline()
        if not args.check:
            refresh()
        return (*outcomes, *compiled)
    outcomes = lock(
        args.ids,
        check=args.check,
        hashes=args.hashes,
        index=Index(configured_index()),
        resolver=UvResolver,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    return (*outcomes, *compiled)


def _compiled(*, check: bool) -> tuple[LockOutcome, ...]:
    """What was wrong with the compiled catalogue, tables and checks; unless this only checks, they are written."""
    from verl_env.components import compile as components
    from verl_env.components.load import COMPILED
    from verl_env.constraints import constraints_directory
    from verl_env.doctor import compile_checks as checks
    from verl_env.locksets.locking import LockOutcome
    from verl_env.machine import compile_tables as tables

    root = constraints_directory()
    wrong = [(COMPILED, "the files under components")] if components.stale(root) else []
    if wrong and not check:
        components.write_compiled(root)
    wrong += [(name, "the hardware table of that name") for name in tables.stale()]
    wrong += [(checks.FILE.name, "the tables of the doctor's checks")] if checks.stale() else []
    if not check:
        tables.write_compiled()
        checks.write_compiled()
    return tuple(LockOutcome(name, {}, (f"{name} is not what {source} give",)) for name, source in wrong)


def _as_json(outcome: LockOutcome) -> dict[str, object]:
    return {
        "id": outcome.id,
        "changed": bool(outcome.differences),
        "files": sorted(outcome.files),
        "differences": list(outcome.differences),
    }


def _show(outcome: LockOutcome, *, check: bool) -> None:
    """One line for a lockset, and one for each difference."""
    changed = "differs from its recipe" if check else "written"
    print(f"{outcome.id}: {changed if outcome.differences else 'unchanged'}")
    for difference in outcome.differences:
        print(f"  {difference}")


def _releases(args: argparse.Namespace) -> int:
    """The table of releases, written or compared with the index.

    Raises:
        UsageError: flags that make no sense with it.
        IndexUnreachableError: the index cannot be read.
    """
    from verl_env.doctor.releases import collect

    if args.ids or args.offline:
        raise UsageError("--releases reads the index for every project", command="verl-env lock --releases")
    return _tables(args, collect.differences, collect.write, "the table is what the index says")


def _names(args: argparse.Namespace) -> int:
    """The tables of names, written or compared with the index.

    Raises:
        UsageError: flags that make no sense with it, or a project that is not read.
        IndexUnreachableError: the index cannot be read.
    """
    from functools import partial

    from verl_env.doctor.names import collect

    unknown = [name for name in args.ids if name not in collect.SINCE]
    if unknown or args.offline:
        reason = (
            f"no table of {unknown[0]}; there are {', '.join(collect.SINCE)}" if unknown else "--names reads the index"
        )
        raise UsageError(reason, command="verl-env lock --names vllm")
    return _tables(
        args, collect.differences, partial(collect.write, only=args.ids), "the tables are what the index says"
    )


def _tables(
    args: argparse.Namespace, differences: Callable[..., Sequence[str]], write: Callable[..., int], same: str
) -> int:
    """Compares generated tables with the index, or writes them."""
    from datetime import datetime, timezone

    from verl_env.installers.configured import configured_index
    from verl_env.locksets.index import Index

    index = Index(configured_index())
    if args.check:
        wrong = differences(index)
        print_json({"schema": 1, "differences": list(wrong)}) if args.json else print("\n".join(wrong) or same)
        return EXIT_NO if wrong else EXIT_OK
    day = datetime.now(tz=timezone.utc).date().isoformat()
    fresh = write(index, day, say=lambda line: print(line, file=sys.stderr, flush=True))
    print_json({"schema": 1, "new": fresh}) if args.json else print(f"{fresh} releases are new")
    return EXIT_OK


def _draft(args: argparse.Namespace) -> int:
    """The draft of a recipe, on stdout.

    Raises:
        UsageError: more than one id, or flags that make no sense with it.
        DockerfileUnreadError: the file cannot be read.
    """
    from pathlib import Path

    from verl_env.locksets.draft.draft import draft, recipe_text

    if len(args.ids) > 1 or args.check or args.offline or args.releases or args.names or args.measure:
        raise UsageError("--new takes a file and at most one ID", command="verl-env lock --new FILE FAMILY/VARIANT")
    file = Path(args.new)
    read = draft(file)
    if args.json:
        steps = [{**vars(each.step), "only_if": each.only_if} for each in read.done if each.step is not None]
        unread = [{"run": each.run, "text": each.text} for each in read.unread]
        print_json({"schema": 1, "base": read.image.base, "steps": steps, "unread": unread})
    else:
        print(recipe_text(read, file, args.ids[0] if args.ids else "family/variant"), end="")
    return EXIT_OK


def _measure(environment: str) -> int:
    from pathlib import Path

    from verl_env.locksets.measure import measure

    if (found := what_is(environment)) != "a directory":
        raise UsageError(f"{environment} is {found}, and an environment is wanted", command="verl-env lock --help")
    print_json({"schema": 1, **measure(Path(environment)).to_json()})
    return EXIT_OK
