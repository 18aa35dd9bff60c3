"""ROCm's own tools, run side by side below one deadline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.machine import child
from verl_env.machine.amd import problems
from verl_env.machine.amd.environment import child_environment
from verl_env.machine.amd.reading import ToolAnswers
from verl_env.machine.amd.rocminfo import ROCMINFO, parse_rocminfo
from verl_env.machine.amd.smi_json import AMD_SMI, ROCM_SMI, parse_amd_smi, parse_rocm_smi
from verl_env.machine.executables import find, search_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from verl_env.machine.amd.reading import ToolReading
    from verl_env.machine.model import Problem
    from verl_env.machine.process import Outcome
    from verl_env.machine.roots import Roots

# Best first: amd-smi replaces rocm-smi, and neither needs what rocminfo does, a working HSA runtime.
_TOOLS: tuple[tuple[Sequence[str], Callable[[str], tuple[ToolReading, ...]]], ...] = (
    (AMD_SMI, parse_amd_smi),
    (ROCM_SMI, parse_rocm_smi),
    (ROCMINFO, parse_rocminfo),
)


def ask_tools(roots: Roots, environ: Mapping[str, str], directories: Sequence[str], *, deadline: float) -> ToolAnswers:
    """Run every tool that is there; one that fails is no matter where another answers.

    Args:
        roots: The probed host.
        environ: Its environment.
        directories: Where to look after PATH.
        deadline: The time of ``time.monotonic()`` at which the tools are ended.
    """
    places = [*search_path(environ), *directories]
    found = [(argv, parse, path) for argv, parse in _TOOLS if (path := find(roots, places, argv[0]))]
    argvs = [(roots.path(path), *argv[1:]) for argv, _, path in found]
    outcomes = child.run_all(argvs, deadline=deadline, env=child_environment(environ)) if argvs else ()
    answers = [(argv[0], parse(_stdout(one)), one) for (argv, parse, _), one in zip(found, outcomes, strict=True)]
    readings = {tool: gpus for tool, gpus, _ in answers if gpus}
    silent = [(tool, outcome) for tool, gpus, outcome in answers if not gpus]
    return ToolAnswers(readings, tuple(_failure(tool, one) for tool, one in silent if not readings or _hung(one)))


def _stdout(outcome: Outcome) -> str:
    """What a tool printed, also one that ended with an error: it may list the GPUs that still answer.

    The output of one that was killed is a part of it, and says nothing of what is missing.
    """
    return outcome.stdout.decode("utf-8", "replace") if isinstance(outcome, child.Completed) else ""


def _hung(outcome: Outcome) -> bool:
    return isinstance(outcome, child.Abandoned | child.TimedOut)


def _failure(tool: str, outcome: Outcome) -> Problem:
    if isinstance(outcome, child.Abandoned):
        return problems.driver_wedged(tool, outcome.pid)
    if isinstance(outcome, child.TimedOut):
        return problems.tool_timeout(tool, outcome.seconds)
    if isinstance(outcome, child.NotStarted):
        return problems.tool_failed(tool, outcome.reason)
    if isinstance(outcome, child.Completed):
        text = (outcome.stderr or outcome.stdout).decode("utf-8", "replace").strip()
        first = text.splitlines()[0][:200] if text else "no output"
        return problems.tool_failed(tool, f"{first} (exit code {outcome.returncode})")
    return problems.tool_failed(tool, "it is gone")
