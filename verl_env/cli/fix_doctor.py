"""``verl-env doctor --fix``: shows the fixes, asks, runs them, and says what came of them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from verl_env.errors import EXIT_NO, EXIT_OK

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from verl_env.doctor.facts import Facts
    from verl_env.doctor.fix import Step
    from verl_env.doctor.model import Check, Diagnosis


def fix(args: argparse.Namespace, facts: Facts, diagnosis: Diagnosis, checks: tuple[Check, ...]) -> int:
    """Runs the fixes of a diagnosis; exit code 0 when the environment is healthy afterwards."""
    from verl_env.cli.console import stderr_console
    from verl_env.doctor.fix import apply, steps

    console = stderr_console()
    wanted = steps(diagnosis)
    if not wanted:
        console.print("nothing here can be mended by --fix; see the remedies above", markup=False)
        return EXIT_OK if diagnosis.ok else EXIT_NO
    _show(wanted)
    if args.dry_run:
        return EXIT_OK if diagnosis.ok else EXIT_NO
    if not args.yes and not sys.stdin.isatty():
        console.print("nobody is there to be asked, and nothing was changed; to run these: --fix --yes", markup=False)
        return EXIT_NO
    if not args.yes and not _agreed():
        return EXIT_NO

    for step in wanted:
        outcome = apply(
            step,
            facts,
            diagnosis,
            lambda prefix: _again(facts, checks, prefix),
            lambda text: console.print(text, markup=False),
        )
        console.print(f"{outcome.finding}: {outcome.state}", outcome.detail, markup=False)
    after = _again(facts, checks)
    console.print("healthy" if after.ok else "still not healthy: verl-env doctor tells more", markup=False)
    return EXIT_OK if after.ok else EXIT_NO


def _again(facts: Facts, checks: tuple[Check, ...], prefix: Path | None = None) -> Diagnosis:
    """The diagnosis of the environment as it is now; or as it is at another place, as if it were in force."""
    from verl_env.doctor.gather import gather
    from verl_env.doctor.run import diagnose

    if facts.target is None:
        raise ValueError("no environment")
    here, place = facts.target.prefix, prefix or facts.target.prefix
    environment = {name: value.replace(str(here), str(place)) for name, value in facts.environment.items()}
    now = gather(place, environment, facts.machine, host=facts.host)
    return diagnose(now, checks)


def _show(wanted: tuple[Step, ...]) -> None:
    from verl_env.cli.console import stderr_console

    console = stderr_console()
    for step in wanted:
        console.print(f"[{step.finding.id}] {step.finding.remedy.text}", markup=False)
        for command in step.commands:
            console.print(f"    {command}", markup=False)


def _agreed() -> bool:
    """Whether the user agrees."""
    print("run these? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
