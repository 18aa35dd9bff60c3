"""Every requirement of a lockset against a machine and a request. Each that fails is kept, not only the first."""

from __future__ import annotations

from verl_env.choose.accelerator import judge_accelerator, judge_amdgpu, judge_rocm
from verl_env.choose.driver import judge_driver
from verl_env.choose.gpus import judge_gpus
from verl_env.choose.host import judge_host
from verl_env.choose.pythons import judge_python
from verl_env.choose.request import judge_request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from verl_env.choose.facts import MachineFacts
    from verl_env.choose.model import Request, Verdict
    from verl_env.locksets.model import Lockset


def verdicts(lockset: Lockset, facts: MachineFacts, request: Request) -> Iterator[Verdict]:
    """The verdicts on one lockset: the request first, then the accelerator and what hangs on it, host and Python."""
    yield from judge_request(lockset, request)
    accelerator = judge_accelerator(lockset, facts)
    yield accelerator
    if accelerator.outcome != "failed":
        yield from _on_accelerator(lockset, facts, request)
    yield from judge_host(lockset, facts.machine.host)
    if lockset.pythons or lockset.tier != "recorded":
        yield judge_python(lockset, facts, request)


def _on_accelerator(lockset: Lockset, facts: MachineFacts, request: Request) -> Iterator[Verdict]:
    """What can only be judged where there is a GPU of the lockset's vendor."""
    level, driver = judge_driver(lockset, facts)
    if driver is not None:
        yield driver
    yield from filter(None, (judge_rocm(lockset, facts), judge_amdgpu(lockset, facts)))
    yield from judge_gpus(lockset, facts, request, level, driver.have if driver else None)
