"""What one witness says of the NVIDIA side, before the witnesses are put together."""

from __future__ import annotations

from verl_env.machine.model import UNKNOWN
from verl_env.machine.plain import digits, hexadecimal, leading, release
from verl_env.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from verl_env.machine.model import Fact, Known

_NO_VALUE = {"", "n/a", "not supported", "unknown error", "unknown", "none"}

#: The smallest and the greatest CUDA version that a driver may report, as 1000 * major + 10 * minor.
CUDA_RANGE = (1000, 99990)


@record
class GpuReading:
    """One GPU, or one slice of a GPU, in the words of one witness.

    Args:
        index: The number that NVIDIA's tools give the GPU; a slice has that of its GPU.
        address: Where it sits on the PCI bus, ``00000000:83:00.0``, in lower case.
        device_id: Its PCI device id, four lower-case hexadecimal digits.
        mig_mode: Whether the GPU may be sliced; None where it cannot.
        slice_of: For a slice, the index of its GPU.
        fabric: The state of its NVSwitch fabric, as nvidia-smi writes it; None without one.
        lost: Why it does not answer; None for a GPU that does.
    """

    index: int | None = None
    name: Fact[str] = UNKNOWN
    uuid: Fact[str] = UNKNOWN
    compute_capability: Fact[str] = UNKNOWN
    memory_bytes: Fact[int] = UNKNOWN
    compute_mode: Fact[str] = UNKNOWN
    address: str | None = None
    device_id: str | None = None
    mig_mode: Fact[bool] = UNKNOWN
    slice_of: int | None = None
    fabric: Fact[str] = UNKNOWN
    lost: str | None = None


@record
class Reading:
    """Everything that one witness says. ``source`` names it, ``devices`` is None when it listed none."""

    source: str
    driver: Known[str] = UNKNOWN
    cuda: Known[str] = UNKNOWN
    devices: tuple[GpuReading, ...] | None = None


def text_of(data: bytes | str) -> str:
    """Output of a tool as text that can be encoded again; what is no UTF-8 is replaced."""
    if isinstance(data, bytes):
        return data.decode("utf-8", "replace")
    return data.encode("utf-8", "replace").decode("utf-8", "replace")


def version_of(text: str | None) -> Known[str]:
    """The dotted number that a text begins with, ``"610.57.04"`` of ``"610.57.04 [Deprecated; ...]"``."""
    bare = (text or "").lstrip()
    version = leading(bare, "0123456789.")
    follows = bare[len(version) : len(version) + 1]
    return version if release(version, 2, 4, 4) and not follows.isdecimal() else UNKNOWN


def value_of(text: str | None) -> Fact[str]:
    """A value that a tool prints: None for ``[N/A]`` and the like, UNKNOWN when there is no such field."""
    if text is None:
        return UNKNOWN
    bare = text.strip().strip("[]").strip()
    return None if bare.lower() in _NO_VALUE or "deprecated" in bare.lower() else bare


def bytes_of(text: str | None) -> Fact[int]:
    """The bytes of ``"81559 MiB"``; None for ``Not Supported``, UNKNOWN for what cannot be read."""
    value = value_of(text)
    if not isinstance(value, str):
        return value
    number = value.removesuffix("MiB").removesuffix(" ")
    return int(number) << 20 if value.endswith("MiB") and digits(number, 12) else UNKNOWN


def capability_of(text: str | None) -> Fact[str]:
    """A compute capability ``"9.0"``; UNKNOWN for what cannot be one."""
    value = value_of(text)
    if not isinstance(value, str):
        return value
    major, _, minor = value.partition(".")
    return value if digits(major, 2) and major[0] != "0" and digits(minor, 1) else UNKNOWN


def cuda_of(number: object) -> Known[str]:
    """The version ``"12.4"`` of the integer 12040 that a driver library returns; UNKNOWN for an implausible one."""
    if isinstance(number, int) and CUDA_RANGE[0] <= number <= CUDA_RANGE[1]:
        return f"{number // 1000}.{number % 1000 // 10}"
    return UNKNOWN


def address_of(text: str | None) -> str | None:
    """A PCI address in one form, ``00000000:83:00.0`` for ``0000:83:00.0``; None for what is none."""
    place, _, function = (text or "").strip().lower().rpartition(".")
    *domain, bus, device = ("", *place.split(":"))
    plain = len(function) == 1 and function in "01234567" and hexadecimal(bus, 2) and hexadecimal(device, 2)
    match domain:
        case [""] if plain:
            return f"00000000:{bus}:{device}.{function}"
        case ["", str(number)] if plain and 4 <= len(number) <= 8 and hexadecimal(number, len(number)):  # noqa: PLR2004
            return f"{number:0>8}:{bus}:{device}.{function}"
    return None


def device_id_of(text: str | None) -> str | None:
    """The PCI device id ``"2335"`` of ``"0x233510DE"`` or ``"233510DE"``; None for what is none."""
    number = (text or "").strip().lower().removeprefix("0x")
    return number[:4] if hexadecimal(number, 8) and number.endswith("10de") else None
