"""``verl-env verify``: proves an environment by what it does."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.cli.console import print_error, print_json, stderr_console, stdout_console
from verl_env.errors import EXIT_NO, EXIT_OK, UsageError
from verl_env.reading import what_is

if TYPE_CHECKING:
    import argparse

    from verl_env.doctor.facts import Facts
    from verl_env.verify.model import Part, Result, Verification

_MARKS = {"passed": "green", "failed": "red", "impossible": "yellow"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env verify``."""
    parser.add_argument("--into", metavar="DIR", help="the environment (default: the active one, else .venv)")
    parser.add_argument(
        "--only",
        metavar="PART",
        action="append",
        help="this part, or all that begin so where none has that name: train (may be repeated)",
    )
    parser.add_argument("--list", action="store_true", help="list the parts, with their estimates")
    parser.add_argument("--work", metavar="DIR", type=Path, help="keep models and logs here (default: removed)")
    parser.add_argument("--keep", action="store_true", help="keep it in the environment: doctor and report show it")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="write the JSON document here, after each part"
    )


def main(args: argparse.Namespace) -> int:
    """Tries the parts and shows what came of them.

    Raises:
        VerlEnvError: there is no environment, or no such part.
    """
    from verl_env.verify.select import select

    parts = select(args.only or [])
    if args.list:
        for part in parts:
            stdout_console().print(f"{part.id:26} {part.seconds:4.0f} s  {part.title}", markup=False, highlight=False)
        return EXIT_OK
    _check_places(args)
    if args.work:
        return _verify(args, parts, args.work.absolute())
    # Ray's sockets lie in it, and the path of a socket has 107 bytes.
    with tempfile.TemporaryDirectory(prefix="vev", ignore_cleanup_errors=True) as directory:
        return _verify(args, parts, Path(directory))


def _check_places(args: argparse.Namespace) -> None:
    """Makes sure that there is a place for what takes an hour to find out.

    Raises:
        UsageError: there is none.
    """
    command = "verl-env verify --help"
    try:
        if args.work:
            args.work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--work {args.work} cannot be made: {error.strerror}", command=command) from error
    other = args.output and args.output.exists() and not args.output.is_file()
    if args.output and (other or not os.access(args.output.parent, os.W_OK)):
        there = what_is(args.output if other else args.output.parent)
        what = "it" if other else f"{args.output.parent}"
        raise UsageError(f"-o {args.output} cannot be written: {what} is {there}", command=command)


def _verify(args: argparse.Namespace, parts: list[Part], directory: Path) -> int:
    from verl_env.cli.diagnose.doctor import environment_of
    from verl_env.cli.options import default_machine
    from verl_env.doctor.gather import gather
    from verl_env.environment.state import read_state
    from verl_env.verify.run import Room, variables, verify
    from verl_env.verify.subject import subject_of

    prefix = environment_of(args.into)
    facts = gather(prefix, dict(os.environ), default_machine(with_gpus=True))
    state = read_state(prefix)
    subject = subject_of(facts, state.lockset if state else None, os.environ)
    env = variables({**os.environ, **(state.env if state else {})}, directory)
    env["PATH"] = f"{prefix / 'bin'}{os.pathsep}{env.get('PATH', os.defpath)}"
    found = verify(
        subject,
        parts,
        Room(directory, prefix / "bin" / "python", env),
        started=_announce,
        ended=lambda found: _tell(found, args.output),
        findings=lambda log: _findings(log, facts),
    )
    _write(args, found)
    kept = not args.keep or _keep(prefix, found)
    return EXIT_OK if found.ok and kept else EXIT_NO


def _keep(prefix: Path, found: Verification) -> bool:
    """Whether it could be kept; what was proved is shown already, and is not lost to an error."""
    from verl_env.environment.proofs import keep_proof
    from verl_env.verify.errors import ProofNotKeptError

    try:
        keep_proof(prefix, found.to_json())
    except OSError as error:
        print_error(ProofNotKeptError(prefix, error.strerror or str(error)))
        return False
    return True


def _findings(log: str, facts: Facts) -> tuple[str, ...]:
    """The roots of what a log shows, each before its consequences."""
    from verl_env.doctor.ingest.logs import causes_in_log

    ids = (each for root in causes_in_log(log, facts) for each in (root.id, *root.explains))
    return tuple(dict.fromkeys(ids))


def _announce(part: Part) -> None:
    line = f"{part.id}: {part.title} (about {part.seconds:.0f} s, at most {part.deadline:.0f} s) ..."
    stderr_console().print(line, markup=False, highlight=False)


def _tell(found: Verification, output: Path | None) -> None:
    """Shows the last result and keeps all of them: a job that ends before its last part has proved the others."""
    import json

    from verl_env.environment.files import replace_bytes

    if output is not None:
        replace_bytes(output, (json.dumps(found.to_json(), indent=1) + "\n").encode())
    _report(found.results[-1])


def _report(result: Result) -> None:
    console = stderr_console()
    figures = ", ".join(f"{name} {_number(value)}" for name, value in result.figures.items() if _is_number(value))
    seconds = "" if result.state == "impossible" else f" in {result.seconds:.0f} s"
    console.print(f"{result.id}: ", end="", markup=False, highlight=False)
    console.print(f"[{_MARKS[result.state]}]{result.state}[/]", end="", highlight=False)
    said = "; ".join(part for part in (result.reason, figures) if part)
    console.print(f"{seconds}{': ' if said else ''}{said}", markup=False, highlight=False)
    if result.state == "failed":
        for line in result.log.splitlines():
            console.print(f"    {line}", markup=False, highlight=False)
        for finding in result.findings:
            console.print(f"  finding: {finding} (verl-env doctor --only {finding})", markup=False, highlight=False)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float))


def _number(value: float) -> str:
    return f"{value:.4g}"


def _write(args: argparse.Namespace, found: Verification) -> None:
    if args.json:
        print_json(found.to_json())
        return
    states = [result.state for result in found.results]
    sys.stderr.flush()
    counted = ", ".join(f"{states.count(state)} {state}" for state in _MARKS if state in states)
    verdict = "proved" if found.ok else "not proved"
    stdout_console().print(f"{verdict}: {counted}", markup=False, highlight=False)
