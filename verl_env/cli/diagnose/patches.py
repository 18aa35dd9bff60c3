"""``verl-env patches``: the run-time patches of an environment: their state, their proof, in and out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.cli.console import print_json, stderr_console, stdout_console
from verl_env.cli.options import own_environment
from verl_env.errors import EXIT_NO, EXIT_OK

if TYPE_CHECKING:
    import argparse

    from verl_env.patches.model import Report

_MARKS = {"applied": "green", "applied-unverified": "yellow", "not-needed": "dim", "disabled": "yellow"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env patches``."""
    parser.add_argument("action", choices=("list", "apply", "verify", "remove"), help="what to do")
    parser.add_argument(
        "--into", metavar="DIR", type=Path, help="the environment (default: the active one, else .venv)"
    )
    parser.add_argument(
        "--carrier",
        choices=("pth", "sitecustomize"),
        default="pth",
        help="with apply: what starts the hook; sitecustomize is tried and refused where it would never run",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def main(args: argparse.Namespace) -> int:
    """Does what was asked, and shows the states.

    Raises:
        VerlEnvError: there is no environment, its interpreter fails, or the installer does.
    """
    from verl_env.patches import change
    from verl_env.patches.ask import PROCESSES, read_states

    environment = own_environment(args.into).absolute()
    if args.action == "verify":
        return _show_verified([_verify(environment, process) for process in PROCESSES], args)
    if args.action == "apply":
        change.apply(environment, args.carrier, waiting=_say)
    if args.action == "remove":
        change.remove(environment, waiting=_say)
    return _show(read_states(environment), args)


def _say(text: str) -> None:
    stderr_console().print(text, markup=False)


def _verify(environment: Path, process: str) -> Report:
    """Proves the patches in one kind of process, and says so beforehand: vLLM is imported, which takes a while."""
    from verl_env.patches.ask import VERIFY_SECONDS, verify

    line = f"proving in a {process} process: imports vLLM, a minute or so, at most {VERIFY_SECONDS / 60:.0f} ..."
    stderr_console().print(line, style="dim", markup=False, highlight=False)
    return verify(environment, process)


def _show(report: Report, args: argparse.Namespace) -> int:
    if args.json:
        document = {"schema": 1, "vllm": report.vllm, "installed": report.installed, "hidden": report.hidden}
        print_json({**document, "patches": [patch.to_json() for patch in report.patches]})
    else:
        where = "" if report.installed else " (verl-env-runtime is not installed; this is what it would do)"
        stdout_console().print(f"vLLM {report.vllm or 'is not installed'}{where}", markup=False)
        _print_patches(report)
        _print_hidden(report)
    healthy = report.ok and (report.installed or args.action == "remove")
    return EXIT_OK if healthy or report.vllm is None else EXIT_NO


def _show_verified(reports: list[Report], args: argparse.Namespace) -> int:
    ok = all(report.ok for report in reports)
    if args.json:
        patches = [patch.to_json() for report in reports for patch in report.patches]
        processes = [
            {"process": report.process, "hook": report.hook, "faults": list(report.faults), "skipped": report.skipped}
            for report in reports
        ]
        document = {"schema": 1, "vllm": reports[0].vllm, "ok": ok, "hidden": reports[0].hidden}
        print_json({**document, "patches": patches, "processes": processes})
        return EXIT_OK if ok else EXIT_NO
    for report in reports:
        hook = "" if report.hook is None else "; the hook ran" if report.hook else "; the hook did not run"
        stdout_console().print(f"{report.process}: {report.skipped or f'vLLM {report.vllm}{hook}'}", markup=False)
        _print_patches(report)
    _print_hidden(reports[0])
    return EXIT_OK if ok else EXIT_NO


def _print_patches(report: Report) -> None:
    console = stdout_console()
    for patch in report.patches:
        proved = ", proved" if patch.probed and patch.ok else ""
        console.print(f"  {patch.id:20}", end="", markup=False)
        console.print(f"[{_MARKS.get(patch.state, 'red')}]{patch.state}{proved}[/]", end="")
        console.print(f"  {patch.reason}", markup=False)
    for fault in report.faults:
        console.print(f"  fault: {fault}", markup=False)


def _print_hidden(report: Report) -> None:
    if report.hidden is not None:
        line = f"VLLM_PLUGINS={report.hidden} keeps vLLM from calling the plugin verl_env; the start-up hook still acts"
        stdout_console().print(line, markup=False)
