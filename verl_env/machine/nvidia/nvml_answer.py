"""What the child that asks NVML said, however far it came."""

from __future__ import annotations

from verl_env.machine.child import Abandoned, Completed, TimedOut
from verl_env.machine.model import UNKNOWN
from verl_env.machine.nvidia.reading import (
    GpuReading,
    Reading,
    address_of,
    capability_of,
    cuda_of,
    device_id_of,
    text_of,
    value_of,
    version_of,
)
from verl_env.machine.plain import loads
from verl_env.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from verl_env.machine.child import Outcome
    from verl_env.machine.model import Fact, Known

SOURCE = "nvml"
LIBCUDA = "libcuda"

_NOTHING = Reading(SOURCE)


@record
class NvmlAnswer:
    """What the child said.

    Args:
        reading: Its facts; nothing of what it did not come to say.
        code: The error number of nvmlInit or of the count of devices; 0 when both worked, None when it never said.
        text: The words of that error.
        library: The version of the NVML library itself.
        libcuda: The file of the libcuda that programs here load, and the CUDA version it gives.
        cuda_init: The result of cuInit, when that was asked for and came back.
        whole: Whether the child came to its end.
        hung: Seconds after which it was killed; None when it ended by itself.
        killable: False for a child that the kernel did not let go.
        signal: The number of the signal that the child died of.
    """

    reading: Reading = _NOTHING
    code: int | None = None
    text: str = ""
    library: Known[str] = UNKNOWN
    libcuda: tuple[str | None, Known[str]] = (None, UNKNOWN)
    cuda_init: int | None = None
    whole: bool = False
    hung: float | None = None
    killable: bool = True
    signal: int | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing is left for another witness to tell; a lost GPU has told what it can."""
        told = (self.reading.driver, self.libcuda[1] or self.reading.cuda)
        gpus = [gpu for gpu in self.reading.devices or () if gpu.lost is None]
        facts = [fact for gpu in gpus for fact in (gpu.name, gpu.uuid, gpu.memory_bytes)]
        # A slice has the compute capability of its GPU.
        capabilities = [gpu.compute_capability for gpu in gpus if gpu.slice_of is None]
        listed = self.code == 0 and self.reading.devices is not None
        return self.whole and listed and UNKNOWN not in (*told, *facts, *capabilities)


def read_nvml(outcome: Outcome) -> NvmlAnswer:
    """The answer in the output of the child, however far it came."""
    if isinstance(outcome, Completed):
        signal = -outcome.returncode if outcome.returncode < 0 else None
        return parse_nvml(outcome.stdout, signal=signal)
    if isinstance(outcome, (TimedOut, Abandoned)):
        killable = isinstance(outcome, TimedOut)
        return parse_nvml(outcome.stdout, hung=outcome.seconds, killable=killable)
    return NvmlAnswer(text="the child process could not be started")


def parse_nvml(
    data: bytes | str, *, hung: float | None = None, killable: bool = True, signal: int | None = None
) -> NvmlAnswer:
    """The answer in the lines of the child; a line that is cut off or damaged is passed over."""
    said: dict[str, list[Any]] = {}
    for line in text_of(data).splitlines():
        kind, value = _line(line)
        said.setdefault(kind, []).append(value)
    failed = next((value for kind in ("init", "count") for value in said.get(kind, ()) if _is_error(value)), None)
    libcuda = _mapping(said.get("libcuda"))
    return NvmlAnswer(
        reading=_reading(said),
        code=_int(failed["code"]) if failed else (0 if "init" in said else None),
        text=_text(failed.get("text")) or "" if failed else "",
        library=version_of(_text(_first(said.get("nvml")))),
        libcuda=(_text(libcuda.get("path")), cuda_of(libcuda.get("cuda"))),
        cuda_init=_int(_first(said.get("cuInit"))),
        whole="end" in said,
        hung=hung,
        killable=killable,
        signal=signal,
    )


def _line(line: str) -> tuple[str, Any]:
    try:
        kind, value = loads(line)
    except (ValueError, TypeError, RecursionError):
        return "", None
    return (kind, value) if isinstance(kind, str) else ("", None)


def _reading(said: Mapping[str, Sequence[Any]]) -> Reading:
    cuda = next((known for value in said.get("cuda", ()) if (known := cuda_of(value)) is not UNKNOWN), UNKNOWN)
    devices = tuple(
        _gpu(kind, value) for kind in ("device", "slice") for value in said.get(kind, ()) if _indexed(value)
    )
    return Reading(
        source=SOURCE,
        driver=version_of(_text(_first(said.get("driver")))),
        cuda=cuda,
        devices=devices if devices or 0 in said.get("count", ()) else None,
    )


def _gpu(kind: str, value: Mapping[str, Any]) -> GpuReading:
    text = {
        key: _text(value.get(key)) for key in ("name", "uuid", "cc", "compute_mode", "address", "device_id", "text")
    }
    lost = _int(value.get("code")) is not None
    return GpuReading(
        index=value["index"],
        name=value_of(text["name"]),
        uuid=value_of(text["uuid"]),
        compute_capability=capability_of(text["cc"]),
        memory_bytes=_memory(value),
        compute_mode=value_of(text["compute_mode"]),
        address=address_of(text["address"]),
        device_id=device_id_of(text["device_id"]),
        mig_mode=value.get("mig") if isinstance(value.get("mig"), bool) else None,
        slice_of=value["index"] if kind == "slice" else None,
        fabric=_fabric(value),
        lost=(text["text"] or "no reason given") if lost else None,
    )


def _memory(value: Mapping[str, Any]) -> Fact[int]:
    if "memory" not in value:
        return UNKNOWN
    return number if (number := _int(value["memory"])) is None or number >= 0 else UNKNOWN


def _fabric(value: Mapping[str, Any]) -> Fact[str]:
    """The state of the fabric; a completed one that reports a failure is named by its status."""
    if "fabric" not in value:
        return UNKNOWN
    state, status = _text(value["fabric"]), _int(value.get("fabric_status"))
    return f"{state}, status {status}" if state == "Completed" and status else state


def _is_error(value: Any) -> bool:
    return isinstance(value, dict) and bool(_int(value.get("code")))


def _indexed(value: Any) -> bool:
    return isinstance(value, dict) and (_int(value.get("index")) or 0) >= 0 and _int(value.get("index")) is not None


def _first(values: Sequence[Any] | None) -> Any:
    return values[0] if values else None


def _mapping(values: Sequence[Any] | None) -> Mapping[str, Any]:
    value = _first(values)
    return value if isinstance(value, dict) else {}


def _int(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
