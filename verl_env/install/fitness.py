"""Whether a machine can run what was planned for another one: what its lockset needs, and what was built for whom."""

from __future__ import annotations

from verl_env.choose.facts import facts_of
from verl_env.choose.fits import cuda_fit
from verl_env.choose.model import Request
from verl_env.choose.requirements import verdicts
from verl_env.locksets.model import GpuNeed
from verl_env.machine.gpu_code import Fit
from verl_env.records import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence
    from typing import Any

    from verl_env.choose.model import Verdict
    from verl_env.environment.state import State
    from verl_env.locksets.model import Lockset
    from verl_env.machine.model import Machine
    from verl_env.plans.model import Plan

#: What of a verdict is the machine's doing; the rest was asked for, or is settled once an environment is there.
_OF_HOST = ("arch", "platform", "glibc")
_OF_GPU = ("accelerator", "compute-capability", "gfx", "driver", "rocm")


@record
class Misfit:
    """One thing that a machine lacks.

    ``need`` and ``have`` are what is needed and what is there; ``planned`` what the machine had that it was planned
    for, None where that is not known; ``message`` is a sentence.
    """

    requirement: str
    need: str
    have: str
    planned: str | None
    message: str

    @property
    def of_host(self) -> bool:
        """Whether nothing of it runs here: not even imports, which need no GPU."""
        return self.requirement in _OF_HOST

    @property
    def text(self) -> str:
        """Need and have in one line."""
        planned = f" (planned for: {self.planned})" if self.planned and self.planned != self.have else ""
        return f"{self.requirement}: it needs {self.need}{planned}, and here is {self.have}: {self.message}"

    def to_json(self) -> dict[str, str | None]:
        """The keys of the JSON documents."""
        return {
            "requirement": self.requirement,
            "need": self.need,
            "have": self.have,
            "planned": self.planned,
            "message": self.message,
        }


def misfits_of_plan(plan: Plan, planned: Machine, machine: Machine) -> tuple[Misfit, ...]:
    """What a machine lacks of what a plan needs that was made for another one."""
    left_out = {choice.name for choice in plan.natives if choice.how == "skip"}
    failed = _failed(plan.lockset, plan.stack, plan.python, left_out, machine)
    return tuple(_misfit(verdict, planned) for verdict in failed)


def misfits_of_state(state: State, machine: Machine) -> tuple[Misfit, ...]:
    """What a machine lacks of what an environment needs; nothing where its lockset is not known any more."""
    from verl_env.errors import VerlEnvError  # noqa: PLC0415
    from verl_env.locksets.catalogue import load_catalogue  # noqa: PLC0415
    from verl_env.machine.record import machine_from_json  # noqa: PLC0415

    try:
        lockset = next((each for each in load_catalogue() if each.id == state.lockset), None)
        planned = machine_from_json(dict(state.machine)) if state.machine else None
    except VerlEnvError:
        return ()
    failed = () if lockset is None else _failed(lockset, state.stack, state.python, state.left_out, machine)
    return (*(_misfit(verdict, planned) for verdict in failed), *_built(state.facts, machine))


def _failed(
    lockset: Lockset, stack: str, python: str, left_out: Container[str], machine: Machine
) -> tuple[Verdict, ...]:
    """The verdicts that the machine fails; that it has no GPU at all is none, as nobody trains there."""
    gpu = tuple(need for need in lockset.requires.gpu if need.component.partition(" ")[0] not in left_out)
    lockset = replace(lockset, requires=replace(lockset.requires, gpu=gpu))
    request = Request(tuple(stack.split("+")), lockset=lockset.id, python=python, preview=True)
    return tuple(
        verdict
        for verdict in verdicts(lockset, facts_of(machine), request)
        if verdict.outcome == "failed"
        and verdict.requirement in (*_OF_HOST, *_OF_GPU)
        and (verdict.requirement != "accelerator" or verdict.have is not None)
    )


def _misfit(verdict: Verdict, planned: Machine | None) -> Misfit:
    have = verdict.have or "none"
    return Misfit(verdict.requirement, verdict.need, have, _planned(verdict.requirement, planned), verdict.message)


def _planned(requirement: str, machine: Machine | None) -> str | None:
    """What the machine that was planned for has of a requirement."""
    if machine is None:
        return None
    vendors = (("NVIDIA GPU", machine.nvidia), ("AMD GPU", machine.amd))
    known: Mapping[str, object] = {
        "arch": machine.host.arch,
        "glibc": machine.host.glibc,
        "driver": getattr(machine.nvidia, "driver", None),
        "rocm": getattr(machine.amd, "rocm", None),
        "compute-capability": _targets(machine.nvidia, "compute_capability"),
        "gfx": _targets(machine.amd, "gfx"),
        "accelerator": next((name for name, side in vendors if getattr(side, "devices", ())), None),
    }
    value = known.get(requirement)
    return value if isinstance(value, str) and value else None


def _targets(side: object, name: str) -> str:
    found = (getattr(device, name) for device in getattr(side, "devices", ()))
    return ", ".join(dict.fromkeys(value for value in found if isinstance(value, str)))


def _built(facts: Mapping[str, Mapping[str, Any]], machine: Machine) -> Iterator[Misfit]:
    """The components that were built for other NVIDIA GPUs than those that are here."""
    here = [each for each in _targets(machine.nvidia, "compute_capability").split(", ") if each]
    for name, known in facts.items():
        gpus: Sequence[str] = [gpu for gpu in known.get("gpus") or () if not gpu.startswith("gfx")]
        need = GpuNeed(name, tuple(gpus), None, "PTX" in (known.get("targets") or ""), "its build")
        lost = [gpu for gpu in here if gpus and cuda_fit(need, gpu) is Fit.NONE]
        if lost:
            built = ", ".join(gpus)
            message = f"{name} was built for compute capability {built} and has no code for {', '.join(lost)}"
            yield Misfit("compute-capability", built, ", ".join(lost), None, message)
