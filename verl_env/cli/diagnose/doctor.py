"""``verl-env doctor``: what is wrong with an environment, why, and the commands that mend it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verl_env.cli.options import add_machine_arguments, machine_from
from verl_env.command_line import command
from verl_env.errors import EXIT_NO, EXIT_OK, UsageError
from verl_env.reading import what_is

if TYPE_CHECKING:
    import argparse

    from verl_env.doctor.check import Check
    from verl_env.doctor.facts import Facts
    from verl_env.doctor.model import Diagnosis


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env doctor``."""
    parser.add_argument("--into", metavar="DIR", help="the environment (default: the active one, else .venv)")
    parser.add_argument(
        "--report",
        metavar="FILE",
        nargs="+",
        action="extend",
        help="diagnose what files describe: JSON, a pasted issue, a log; - for stdin",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--markdown", action="store_true", help="markdown for an issue")
    parser.add_argument(
        "--requirements", metavar="FILE", help="judge pins before they are installed, on this or a described machine"
    )
    parser.add_argument("--lock", metavar="FILE", help="the same for a uv.lock or pylock.toml")
    parser.add_argument("--explain", action="store_true", help="name the sources of each finding, with their dates")
    parser.add_argument("--strict", action="store_true", help="warnings count: exit 1 where there is one")
    parser.add_argument("--only", metavar="ID", action="append", help="this check (may be repeated)")
    parser.add_argument("--list", action="store_true", help="list every check")
    parser.add_argument("--deep", action="store_true", help="also hash files, import packages and use the GPU")
    parser.add_argument("--fix", action="store_true", help="run the remedies that are safe and reversible")
    parser.add_argument("--dry-run", action="store_true", help="with --fix: show what would run")
    parser.add_argument("--yes", action="store_true", help="with --fix: do not ask")
    add_machine_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Diagnoses and shows the diagnosis.

    Raises:
        VerlEnvError: the environment or the report cannot be read, or the flags contradict each other.
    """
    from verl_env.cli.console import stdout_console
    from verl_env.doctor.checks import CHECKS

    _reject_contradictions(args)
    checks = _chosen(args.only, CHECKS)
    if args.list:
        from verl_env.cli.render.doctor import render_list

        render_list(checks, stdout_console())
        return EXIT_OK
    if args.report:
        return _reports(args, checks)
    if args.requirements or args.lock:
        return _planned(args, checks)
    facts = _facts(args)
    diagnosis = _diagnose(args, facts, checks)
    _show(args, diagnosis, str(facts.target.prefix if facts.target else ""), facts)
    if args.fix:
        from verl_env.cli.diagnose.fix_doctor import fix

        return fix(args, facts, diagnosis, checks)
    if not (args.json or args.markdown):
        _name_fix(args, diagnosis)
    return EXIT_OK if diagnosis.healthy(strict=args.strict) else EXIT_NO


def _name_fix(args: argparse.Namespace, diagnosis: Diagnosis) -> None:
    """The command that mends what can be mended, where something can."""
    from verl_env.cli.console import stderr_console
    from verl_env.doctor.fix import steps

    wanted = steps(diagnosis)
    if wanted:
        into = ("--into", args.into) if args.into else ()
        line = f"{len(wanted)} of these can be mended: {command('doctor', '--fix', *into)}"
        stderr_console().print(line, markup=False, highlight=False)


def _reports(args: argparse.Namespace, checks: tuple[Check, ...]) -> int:
    """Diagnoses each report and shows them one after another; 0 where all are well."""
    from verl_env.cli.console import print_json
    from verl_env.cli.render.doctor import to_json
    from verl_env.doctor.reports import diagnose_report

    found = [(name, diagnose_report(_report(name), checks, whole=not args.only)) for name in args.report]
    if args.json and len(found) > 1:
        print_json({"schema": 1, "reports": [{"report": name, **to_json(one)} for name, one in found]})
    else:
        for name, one in found:
            _show(args, one, "stdin" if name == "-" else name)
    return EXIT_OK if all(one.healthy(strict=args.strict) for _, one in found) else EXIT_NO


def _planned(args: argparse.Namespace, checks: tuple[Check, ...]) -> int:
    """Diagnoses an environment that is only written down: its pins, on the machine that the flags describe."""
    from verl_env.doctor.reports import diagnose_report
    from verl_env.records import replace

    name = args.requirements or args.lock
    if name != "-" and (found := what_is(name)) != "a file":
        raise UsageError(f"{name} is {found}, and a file is wanted", command="verl-env doctor --help")
    stated = _report(name)
    if not stated.packages:
        raise UsageError(f"{name} names no package that is to be installed", command="verl-env doctor --help")
    facts = replace(stated, machine=machine_from(args), log="", environment={}, packages_complete=bool(args.lock))
    diagnosis = diagnose_report(facts, checks, whole=not args.only)
    _show(args, diagnosis, name)
    return EXIT_OK if diagnosis.healthy(strict=args.strict) else EXIT_NO


def _report(name: str) -> Facts:
    import sys

    from verl_env.doctor.ingest.report import read_report, read_stream

    return read_stream(sys.stdin.buffer, "stdin") if name == "-" else read_report(Path(name))


def environment_of(into: str | None) -> Path:
    """The environment that is meant: the one named, the active one, or ``.venv``."""
    named = into or os.environ.get("VIRTUAL_ENV") or os.environ.get("CONDA_PREFIX") or ".venv"
    return Path(named).absolute()


def _reject_contradictions(args: argparse.Namespace) -> None:
    if args.report and (args.deep or args.fix or args.into):
        flag = "--deep" if args.deep else "--fix" if args.fix else "--into"
        raise UsageError(f"{flag} needs an environment; --report describes one", command="verl-env doctor --help")
    described = [name for name in ("report", "requirements", "lock") if getattr(args, name)]
    if len(described) > 1 or (described and not args.report and (args.deep or args.fix or args.into)):
        raise UsageError(
            "--report, --requirements and --lock each describe an environment: give one, and no flag of a real one",
            command="verl-env doctor --help",
        )
    if (args.dry_run or args.yes) and not args.fix:
        flag = "--dry-run" if args.dry_run else "--yes"
        raise UsageError(f"{flag} belongs to --fix", command="verl-env doctor --help")
    if args.json and args.markdown:
        raise UsageError("give one of --json and --markdown", command="verl-env doctor --help")


def _chosen(only: list[str] | None, checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """The checks that ``--only`` names; all without it."""
    if not only:
        return checks
    from difflib import get_close_matches

    from verl_env.doctor.errors import CheckUnknownError

    by_id = {check.id: check for check in checks}
    for name in only:
        if name not in by_id:
            raise CheckUnknownError(name, get_close_matches(name, by_id, n=3))
    return tuple(by_id[name] for name in only)


def _facts(args: argparse.Namespace) -> Facts:
    from verl_env.doctor.gather import gather

    return gather(environment_of(args.into), dict(os.environ), machine_from(args))


def _diagnose(args: argparse.Namespace, facts: Facts, checks: tuple[Check, ...]) -> Diagnosis:
    from verl_env.doctor.run import diagnose

    if not args.deep:
        return diagnose(facts, checks)
    from verl_env.doctor.deep import diagnose_deep

    return diagnose_deep(facts, checks)


def _show(args: argparse.Namespace, diagnosis: Diagnosis, subject: str, facts: Facts | None = None) -> None:
    from verl_env.cli.console import print_json, stdout_console
    from verl_env.cli.render.doctor import markdown, render, to_json

    if args.json:
        print_json({**to_json(diagnosis), **(_made(facts) if facts else {})})
    elif args.markdown:
        print(markdown(diagnosis, subject=subject))
    else:
        if facts is not None and facts.completeness is not None:
            from verl_env.cli.render.install import completeness

            completeness(stdout_console(), facts.completeness)
        if facts is not None and facts.proofs:
            from verl_env.cli.render.doctor import render_proof

            render_proof(facts.proofs[-1], stdout_console())
        render(diagnosis, stdout_console(), subject=subject, explain=args.explain)


def _made(facts: Facts) -> dict[str, Any]:
    """What a diagnosis says of a real environment beside its findings: whether it is complete, and its proofs."""
    complete = {} if facts.completeness is None else facts.completeness.to_json()
    return {**complete, "proofs": [proof.to_json() for proof in facts.proofs]}
