"""The states of the patches, as an environment's interpreter reports them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

#: States in which a patch that this vLLM needs is not in force.
BAD = frozenset({"declined", "failed"})


@record
class PatchState:
    """One patch: ``state`` is applied, applied-unverified, not-needed, declined, failed or disabled.

    ``probed`` is whether its behaviour was proved; None where nothing was to be proved.
    """

    id: str
    state: str
    reason: str
    process: str | None = None
    probed: bool | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong: in force, not needed, or switched off by the user."""
        return self.state not in BAD

    def to_json(self) -> dict[str, Any]:
        """The entry of ``--json`` output."""
        entry: dict[str, Any] = {"id": self.id, "state": self.state, "reason": self.reason}
        return entry if self.process is None else {**entry, "process": self.process, "probed": bool(self.probed)}


@record
class Report:
    """What one interpreter says. ``installed``: the runtime is in the environment; ``hook``: its start-up hook ran.

    ``skipped`` is why nothing was asked (no Ray in the environment). ``faults`` are exceptions that were kept from the
    process. ``hidden`` is the value of ``VLLM_PLUGINS`` where it keeps vLLM from calling the runtime's plugin.
    """

    vllm: str | None
    patches: tuple[PatchState, ...]
    installed: bool = True
    process: str | None = None
    hook: bool | None = None
    faults: tuple[str, ...] = ()
    skipped: str | None = None
    hidden: str | None = None

    @property
    def ok(self) -> bool:
        """Whether every patch is in order and, where it was asked, the hook was there."""
        if self.skipped is not None or self.vllm is None:
            return True
        return self.hook is not False and not self.faults and all(patch.ok for patch in self.patches)


def parse_report(data: Mapping[str, Any], *, installed: bool, hidden: str | None) -> Report:
    """The report in the document of ``python -m verl_env_runtime``.

    Raises:
        KeyError: a key is missing.
    """
    if "skipped" in data:
        return Report(None, (), installed, data["process"], skipped=data["skipped"])
    process = data.get("process")
    patches = tuple(_patch(entry, process) for entry in data["patches"])
    return Report(data["vllm"], patches, installed, process, data.get("hook"), tuple(data["faults"]), hidden=hidden)


def _patch(entry: Mapping[str, Any], process: str | None) -> PatchState:
    return PatchState(entry["id"], entry["state"], entry["reason"], process, entry.get("probed"))
