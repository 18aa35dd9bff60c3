"""``verl-env doctor --fix``: shows the fixes, asks, runs them, and says what came of them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from verl_env.errors import EXIT_NO, EXIT_OK

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from verl_env.doctor.check import Check
    from verl_env.doctor.facts import Facts
    from verl_env.doctor.fix import FixStep, Means
    from verl_env.doctor.model import Diagnosis


def fix(args: argparse.Namespace, facts: Facts, diagnosis: Diagnosis, checks: tuple[Check, ...]) -> int:
    """Runs the fixes of a diagnosis; exit code 0 when the environment is healthy afterwards, by ``--strict`` too."""
    from verl_env.cli.console import confirmed, stderr_console
    from verl_env.doctor.fix import apply, steps

    console = stderr_console()
    wanted = steps(diagnosis)
    if not wanted:
        console.print("nothing here can be mended by --fix; see the remedies above", markup=False)
        return EXIT_OK if diagnosis.healthy(strict=args.strict) else EXIT_NO
    _show(wanted, restores=facts.lockset is not None)
    if args.dry_run:
        return EXIT_OK if diagnosis.healthy(strict=args.strict) else EXIT_NO
    if not args.yes and not sys.stdin.isatty():
        console.print("nobody is there to be asked, and nothing was changed; to run these: --fix --yes", markup=False)
        return EXIT_NO
    if not args.yes and not confirmed("run these?"):
        return EXIT_NO

    means = _means()
    for step in wanted:
        outcome = apply(
            step,
            facts,
            diagnosis,
            lambda prefix: _again(facts, checks, prefix),
            lambda text: console.print(text, markup=False),
            means,
        )
        console.print(f"{outcome.finding}: {outcome.state}", outcome.detail, markup=False)
    after = _again(facts, checks, deep=args.deep)
    console.print(_verdict(after, strict=args.strict), markup=False)
    return EXIT_OK if after.healthy(strict=args.strict) else EXIT_NO


def _verdict(after: Diagnosis, *, strict: bool) -> str:
    """What is left to say of the environment as it is now; warnings are named where they count."""
    if after.healthy(strict=strict):
        return "healthy"
    left = [one.id for one in after.roots if one.severity == ("warning" if after.ok else "error")]
    if not left:
        return "not known to be healthy: not all could be looked at; verl-env doctor tells more"
    what = "warnings are left, and --strict counts them" if after.ok else "still not healthy"
    return f"{what}: {', '.join(left)}; verl-env doctor tells more"


def _again(facts: Facts, checks: tuple[Check, ...], prefix: Path | None = None, *, deep: bool = False) -> Diagnosis:
    """The diagnosis of the environment as it is now; or as it is at another place, as if it were in force."""
    from verl_env.doctor.deep import diagnose_deep
    from verl_env.doctor.gather import gather
    from verl_env.doctor.run import diagnose

    if facts.target is None:
        raise ValueError("no environment")
    here, place = facts.target.prefix, prefix or facts.target.prefix
    environment = {name: value.replace(str(here), str(place)) for name, value in facts.environment.items()}
    now = gather(place, environment, facts.machine, host=facts.host)
    return diagnose_deep(now, checks) if deep else diagnose(now, checks)


def _means() -> Means:
    """The caches that installations use, and a reporter on this terminal."""
    from verl_env.cli.console import stderr_console
    from verl_env.cli.render.install import InstallProgress
    from verl_env.doctor.fix import Means
    from verl_env.installers.options import Options
    from verl_env.settings.config import build_cache_directory, cache_directory

    cache, built = cache_directory().absolute(), build_cache_directory().absolute()
    return Means(Options(cache=cache, build_cache=built), InstallProgress(stderr_console(), 0))


def _show(wanted: tuple[FixStep, ...], *, restores: bool) -> None:
    """What will be done; where a lockset says what, its text tells all, and its command is this one."""
    from verl_env.cli.console import stderr_console

    console = stderr_console()
    for step in wanted:
        console.print(f"[{step.finding.id}] {step.finding.remedy.text}", markup=False)
        for command in () if restores else step.commands:
            console.print(f"    {command}", markup=False)
