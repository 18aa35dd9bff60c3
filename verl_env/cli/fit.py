"""What was planned for a described machine, held against the one that is here."""

from __future__ import annotations

import os

from verl_env.cli.options import MACHINE_VARIABLE, described_words
from verl_env.command_line import command

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console

    from verl_env.environment.state import State
    from verl_env.install.fitness import Misfit
    from verl_env.machine.model import Machine
    from verl_env.plans.model import Plan

#: Set for commands in an environment that was compared with its host; its value is the environment.
COMPARED = "VERL_ENV_COMPARED"


def misfits_here(
    plan: Plan, planned: Machine | None, args: argparse.Namespace, *, raising: bool = True
) -> tuple[Misfit, ...]:
    """What this host lacks of a plan that was made for a described machine; nothing where it was made for this one.

    Raises:
        MachineMisfitError: nothing of it would run here, so that the checks of the installation must fail.
    """
    if planned is None or not (described_words(args) or os.environ.get(MACHINE_VARIABLE)):
        return ()
    from pathlib import Path

    from verl_env.install.errors import MachineMisfitError
    from verl_env.install.fitness import misfits_of_plan

    found = misfits_of_plan(plan, planned, this_machine(os.environ))
    fatal = [misfit for misfit in found if misfit.of_host]
    if fatal and raising and not args.no_check:
        hint = "install on a host that has it; or without the checks, for hosts that have: add --no-check"
        raise MachineMisfitError(Path(args.into), fatal, hint)
    return found


def misfits_json(misfits: tuple[Misfit, ...]) -> dict[str, object]:
    """What a JSON document has beside its own keys."""
    return {"misfits": [misfit.to_json() for misfit in misfits]}


def show_misfits(console: Console, misfits: tuple[Misfit, ...]) -> None:
    """What this host lacks, where that does not stop an installation."""
    if misfits:
        line = "this host is not the machine that it was planned for; it does not run here, and run and doctor say so:"
        console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)
    for misfit in misfits:
        console.print(f"  {misfit.text}", markup=False, highlight=False, soft_wrap=True)


def check_machine(state: State, path: Path, words: list[str]) -> None:
    """Whether this host can run an environment.

    Raises:
        MachineMisfitError: it cannot.
    """
    from verl_env.install.errors import MachineMisfitError
    from verl_env.install.fitness import misfits_of_state

    found = misfits_of_state(state, this_machine(os.environ))
    if found:
        run_anyway = command("run", "--into", path, "--any-machine", "--", *words)
        raise MachineMisfitError(
            path, found, f"what would do: verl-env doctor --into {path}; all the same: {run_anyway}"
        )


def this_machine(env: Mapping[str, str]) -> Machine:
    """The host that this runs on, without its tools; ``VERL_ENV_MACHINE=none`` says that no driver is asked."""
    if env.get(MACHINE_VARIABLE) == "none":
        from verl_env.machine.host import probe_host
        from verl_env.machine.model import Machine
        from verl_env.machine.probe import join
        from verl_env.machine.roots import Roots

        return join((probe_host(Roots(), env), Machine(nvidia=None, amd=None)))
    from verl_env.machine.probe import probe

    return probe(environ=env, tools=False)
