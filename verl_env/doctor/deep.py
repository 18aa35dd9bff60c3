"""``--deep``: hashes, imports and the GPU, each import and each computation in a child of the target environment.

What a child prints when it fails becomes the log of the diagnosis, so that the same checks name its cause.
TransformerEngine comes last: its import has wedged drivers (LoongForge#97).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.doctor.check import Check
from verl_env.doctor.engines.record import damages, is_cut
from verl_env.doctor.foretold import foretold_check
from verl_env.doctor.last_words import exit_words, last_words
from verl_env.doctor.model import Hit, Remedy
from verl_env.doctor.run import diagnose
from verl_env.machine.child import run
from verl_env.machine.process import Completed, NotFound, NotStarted, TimedOut
from verl_env.reading import json_of
from verl_env.records import record, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from verl_env.doctor.facts import Facts
    from verl_env.doctor.model import Diagnosis, Finding
    from verl_env.doctor.target import InspectedEnvironment
    from verl_env.machine.process import Outcome

#: Modules in the order of their imports, each with the distribution that brings it.
MODULES = (
    ("torch", "torch"),
    ("flash_attn", "flash-attn"),
    ("transformers", "transformers"),
    ("vllm", "vllm"),
    ("sglang", "sglang"),
    ("megatron.core", "megatron-core"),
    ("verl", "verl"),
    ("transformer_engine.pytorch", "transformer-engine"),
)
#: Seconds for one import, for the matrix product, and for the sum over GPUs.
IMPORT_DEADLINE, MATMUL_DEADLINE, ALLREDUCE_DEADLINE = 300.0, 120.0, 120.0

#: The check that hashes every file here and looks at sizes elsewhere.
EDITED = "files-edited"
_PROBES = Path(__file__).parent / "probes"
_LOOK = Remedy("Its error is the evidence; the findings above it, if any, name the cause.")
_IMPORT = "import importlib, sys; importlib.import_module(sys.argv[1])"


@record
class Trial:
    """What came of one child: its name, whether it succeeded, and of a failure its error and where it was raised."""

    name: str
    ok: bool
    said: tuple[str, ...]
    output: str = ""


def diagnose_deep(facts: Facts, checks: Sequence[Check], *, with_gpu: bool = True) -> Diagnosis:
    """The diagnosis with what imports, the GPU and the hashes of files add.

    Raises:
        ValueError: the facts are those of a report, without an environment.
    """
    if facts.target is None:
        raise ValueError("a report has nothing to import")
    foretold = foretold_check(_libraries(facts))
    trials = [try_import(facts, module) for module, package in MODULES if facts.installed(package)]
    if with_gpu and facts.installed("torch") and (facts.has_nvidia_gpu or facts.has_amd_gpu):
        trials += [_matmul(facts), _allreduce(facts)]
    log = "\n".join(trial.output for trial in trials if not trial.ok)
    shallow = [check for check in checks if check.id != EDITED]
    added = [*map(_trial_check, trials), foretold, _hash_check(facts.target)]
    found = diagnose(replace(facts, log=log), [*shallow, *added])
    failed = tuple(trial.name for trial in trials if not trial.ok)
    return replace(found, findings=tuple(_with_trials(finding, failed) for finding in found.findings))


def _with_trials(finding: Finding, failed: tuple[str, ...]) -> Finding:
    """What the output of failed trials shows explains them."""
    if finding.severity != "error" or finding.basis == "facts" or finding.id in failed:
        return finding
    return replace(finding, explains=tuple(dict.fromkeys((*finding.explains, *failed))))


def try_import(facts: Facts, module: str) -> Trial:
    """Imports a module in the environment's interpreter.

    Raises:
        ValueError: the facts are those of a report, without an environment.
    """
    outcome = _child(facts, ["-c", _IMPORT, module], IMPORT_DEADLINE)
    return _trial(f"import-{module.replace('.', '-').replace('_', '-')}", outcome, lambda _: True)


def _matmul(facts: Facts) -> Trial:
    outcome = _child(facts, [str(_PROBES / "matmul.py")], MATMUL_DEADLINE)

    def right(answer: str) -> bool:
        said = json_of(answer)
        return bool(said["gpu"] and said["right"] and said["returned"])

    return _trial("gpu-matmul", outcome, right)


def _allreduce(facts: Facts) -> Trial:
    outcome = _child(facts, [str(_PROBES / "allreduce.py")], ALLREDUCE_DEADLINE)
    return _trial("gpu-all-reduce", outcome, lambda answer: json_of(answer)["gpus"] > 0)


def _libraries(facts: Facts) -> str:
    """What the process has loaded that imports torch; empty where there is no torch, or where it fails."""
    if not facts.installed("torch"):
        return ""
    outcome = _child(facts, [str(_PROBES / "libraries.py")], IMPORT_DEADLINE)
    return outcome.stdout.decode("utf-8", "replace") if isinstance(outcome, Completed) else ""


def _child(facts: Facts, arguments: list[str], seconds: float) -> Outcome:
    if facts.target is None:
        raise ValueError("no environment")
    argv = [str(facts.target.interpreter), *arguments]
    return run(argv, deadline=time.monotonic() + seconds, env=dict(facts.environment))


def _trial(name: str, outcome: Outcome, accept: Callable[[str], bool]) -> Trial:
    if isinstance(outcome, (NotFound, NotStarted)):
        return Trial(name, ok=False, said=("the interpreter of the environment does not start",))
    output = "\n".join(part.decode("utf-8", "replace") for part in (outcome.stdout, outcome.stderr))
    answer = outcome.stdout.decode("utf-8", "replace").strip().rpartition("\n")[2]
    if not isinstance(outcome, Completed):
        late = "was killed at its deadline" if isinstance(outcome, TimedOut) else "hangs in the kernel and was left"
        ended = f"{late} after {outcome.seconds:.0f} s"
    elif outcome.returncode:
        ended = exit_words(outcome.returncode)
    elif _accepted(accept, answer):
        return Trial(name, ok=True, said=(), output=output)
    else:
        ended = f"it answered {answer}" if answer else "it gave no answer"
    return Trial(name, ok=False, said=last_words(output, ended), output=output)


def _accepted(accept: Callable[[str], bool], answer: str) -> bool:
    try:
        return accept(answer)
    except (ValueError, KeyError, TypeError):
        return False


def _trial_check(trial: Trial) -> Check:
    """A check whose finding is a failed trial; every error of the log explains it."""
    is_import = trial.name.startswith("import-")
    what = f"{trial.name.removeprefix('import-')} cannot be imported" if is_import else f"{trial.name} failed"

    def find(_: Facts) -> Hit | None:
        return None if trial.ok else Hit(trial.said)

    return Check(
        id=trial.name,
        theme="other",
        severity="error",
        title=what,
        cause="It was tried in a child process of the environment and failed.",
        remedy=_LOOK,
        covers=("K1",) if is_import else ("K4",) if trial.name == "gpu-all-reduce" else (),
        sources=("verl#3351", "vllm#8058"),
        read="2026-11-20",
        find=find,
    )


def _hash_check(target: InspectedEnvironment) -> Check:
    def find(_: Facts) -> Hit | None:
        foreign = frozenset(clash.path for clash in target.clashes)
        changed = [
            f"{damage.distribution}: {target.relative(damage.path)} ({damage.what})"
            for owned in target.records
            for damage in damages(owned, foreign=foreign, deep=True)
            if damage.what == "hash" or (damage.path.endswith(".py") and damage.what == "size" and not is_cut(damage))
        ]
        return Hit(tuple(changed)) if changed else None

    return Check(
        id=EDITED,
        theme="dependencies",
        severity="warning",
        title="Installed files differ from what was installed",
        cause="Their contents are not those that RECORD names: an edit, or damage on the disk.",
        remedy=Remedy("Reinstall the package, unless the edit is meant."),
        covers=("D23",),
        sources=("RECORD files (PEP 376)",),
        read="2026-11-20",
        find=find,
    )
