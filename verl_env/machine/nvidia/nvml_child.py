"""The child process that asks NVML and libcuda; nothing of verl-env is imported here, so that it starts fast.

Its ``main`` is run by ``python -I -S``. Each fact is one line of JSON, ``[kind, value]``, written as soon
as it is known: what a hanging driver had said before it hung is not lost. Every call is guarded on its own.

The libraries are called through ctypes with the few declarations of ``nvml.h`` that are needed, not through
nvidia-ml-py: to import its 8,000 lines takes four times as long as Python's own start, and another module may have
taken its name. A test compares these declarations with it.
"""

from __future__ import annotations

import os
from ctypes import CDLL, Structure, byref, c_char, c_char_p, c_ubyte, c_uint, c_ulonglong, c_void_p, sizeof

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

#: Where the libraries of the driver are besides the loader's path: WSL, container hosts of cloud vendors, NixOS.
DIRECTORIES = ("/usr/lib/wsl/lib", "/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/run/opengl-driver/lib")

#: nvmlReturn_t
SUCCESS, NOT_SUPPORTED, LIBRARY_NOT_FOUND, FUNCTION_NOT_FOUND, GPU_IS_LOST, RESET_REQUIRED = 0, 3, 12, 13, 15, 16
#: nvmlComputeMode_t
COMPUTE_MODES = ("Default", "Exclusive_Thread", "Prohibited", "Exclusive_Process")
#: nvmlGpuFabricState_t; the first stands for "not supported"
FABRIC_STATES = (None, "Not Started", "In Progress", "Completed")
#: Bytes of the longest string that NVML writes (NVML_DEVICE_NAME_V2_BUFFER_SIZE).
TEXT_SIZE = 96


class Memory(Structure):
    """nvmlMemory_t."""

    _fields_ = (("total", c_ulonglong), ("free", c_ulonglong), ("used", c_ulonglong))


class PciInfo(Structure):
    """nvmlPciInfo_t."""

    _fields_ = (
        ("bus_id_legacy", c_char * 16),
        ("domain", c_uint),
        ("bus", c_uint),
        ("device", c_uint),
        ("device_id", c_uint),
        ("subsystem_id", c_uint),
        ("bus_id", c_char * 32),
    )


class FabricInfo(Structure):
    """nvmlGpuFabricInfo_v3_t; version 2 ends before the last field."""

    _fields_ = (
        ("version", c_uint),
        ("cluster", c_ubyte * 16),
        ("status", c_uint),
        ("clique", c_uint),
        ("state", c_ubyte),
        ("health_mask", c_uint),
        ("health_summary", c_ubyte),
    )


#: Size and number of the two versions of FabricInfo, as NVML wants them told.
FABRIC_VERSIONS = (3 << 24 | sizeof(FabricInfo), 2 << 24 | FabricInfo.health_summary.offset)


def call(library: Any, name: str, *arguments: object) -> int:
    """The one place where a library is called: its return code, or a code for a function that is not there."""
    try:
        return int(getattr(library, name)(*arguments))
    except AttributeError:
        return FUNCTION_NOT_FOUND


def encode(value: object) -> str:
    """JSON of the few types that occur; ``json`` would cost a fifth of the time."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{encode(key)}: {encode(inner)}" for key, inner in value.items()) + "}"
    return '"' + "".join(char if " " <= char <= "~" and char not in '"\\' else "?" for char in str(value)) + '"'


def say(kind: str, value: object) -> None:
    """Write one fact for the parent."""
    os.write(1, f"[{encode(kind)}, {encode(value)}]\n".encode("ascii"))


def load(path: str) -> Any:
    """A library, or None when it cannot be loaded."""
    try:
        return CDLL(path)
    except OSError:
        return None


def libraries(name: str) -> Iterator[Any]:
    """The library of the loader's path, then those of the other places."""
    found = (load(path) for path in (name, *(f"{directory}/{name}" for directory in DIRECTORIES)))
    return (library for library in found if library is not None)


def mapped(name: str) -> str | None:
    """The file from which this process has loaded a library."""
    try:
        with open("/proc/self/maps", "rb") as maps:  # noqa: PTH123  (pathlib is slow to load)
            files = (line.split(maxsplit=5)[-1].strip() for line in maps if name.encode() in line)
            return next((os.path.realpath(os.fsdecode(file)) for file in files if file.startswith(b"/")), None)
    except OSError:
        return None


def text(library: Any, name: str, *arguments: object) -> tuple[int, str]:
    """The code and the string of a function that writes one."""
    buffer = (c_char * TEXT_SIZE)()
    code = call(library, name, *arguments, buffer, TEXT_SIZE)
    return code, buffer.value.decode("utf-8", "replace")


def number(library: Any, name: str, *arguments: object) -> int | None:
    """The number that a function writes; None when it fails."""
    value = c_uint(0)
    return value.value if call(library, name, *arguments, byref(value)) == SUCCESS else None


def pair(library: Any, name: str, *arguments: object) -> tuple[int, int] | None:
    """The two numbers that a function writes; None when it fails."""
    first, second = c_uint(0), c_uint(0)
    code = call(library, name, *arguments, byref(first), byref(second))
    return (first.value, second.value) if code == SUCCESS else None


def error(library: Any, code: int) -> dict[str, object]:
    """An error by its number and NVML's words for it."""
    try:
        library.nvmlErrorString.restype = c_char_p
        words = library.nvmlErrorString(code)
    except AttributeError:
        words = None
    return {"code": code, "text": words.decode("utf-8", "replace") if isinstance(words, bytes) else f"error {code}"}


def memory(library: Any, handle: object) -> dict[str, object]:
    """The memory of a device; None where it has none of its own."""
    info = Memory()
    code = call(library, "nvmlDeviceGetMemoryInfo", handle, byref(info))
    if code == SUCCESS:
        return {"memory": int(info.total)}
    return {"memory": None} if code == NOT_SUPPORTED else {}


def fabric(library: Any, handle: object) -> dict[str, object]:
    """The state of the NVSwitch fabric of a GPU, in the newest version that the driver knows."""
    for version in FABRIC_VERSIONS:
        info = FabricInfo(version=version)
        if call(library, "nvmlDeviceGetGpuFabricInfoV", handle, byref(info)) == SUCCESS:
            state = FABRIC_STATES[info.state] if info.state < len(FABRIC_STATES) else f"state {info.state}"
            return {"fabric": state, "fabric_status": int(info.status)}
    return {}


def facts(library: Any, handle: object) -> dict[str, object]:
    """What GPUs and slices have alike, and why they do not answer if they are lost."""
    found = memory(library, handle)
    for key, name in (("name", "nvmlDeviceGetName"), ("uuid", "nvmlDeviceGetUUID")):
        code, answer = text(library, name, handle)
        if code == SUCCESS:
            found[key] = answer
        elif code in {GPU_IS_LOST, RESET_REQUIRED}:
            found.update(error(library, code))
    capability = pair(library, "nvmlDeviceGetCudaComputeCapability", handle)
    if capability:
        found["cc"] = f"{capability[0]}.{capability[1]}"
    return found


def gpu(library: Any, handle: object) -> dict[str, object]:
    """What only a whole GPU has: fabric, place on the bus, compute mode, slicing."""
    found = {**facts(library, handle), **fabric(library, handle)}
    pci = PciInfo()
    if call(library, "nvmlDeviceGetPciInfo_v3", handle, byref(pci)) == SUCCESS:
        found["address"] = pci.bus_id.decode("ascii", "replace")
        found["device_id"] = f"{pci.device_id:08x}"
    mode = number(library, "nvmlDeviceGetComputeMode", handle)
    if mode is not None and mode < len(COMPUTE_MODES):
        found["compute_mode"] = COMPUTE_MODES[mode]
    mig = pair(library, "nvmlDeviceGetMigMode", handle)
    found["mig"] = bool(mig[0]) if mig else None
    return found


def slices(library: Any, handle: object) -> Iterator[Mapping[str, object]]:
    """The MIG slices of a GPU."""
    for place in range(number(library, "nvmlDeviceGetMaxMigDeviceCount", handle) or 0):
        part = c_void_p()
        if call(library, "nvmlDeviceGetMigDeviceHandleByIndex", handle, place, byref(part)) == SUCCESS:
            yield facts(library, part)


def say_driver(library: Any) -> None:
    """The versions of the kernel driver, of the library, and of CUDA."""
    for kind, name in (("driver", "nvmlSystemGetDriverVersion"), ("nvml", "nvmlSystemGetNVMLVersion")):
        code, version = text(library, name)
        if code == SUCCESS:
            say(kind, version)
    for name in ("nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion"):
        cuda = number(library, name)
        if cuda:
            say("cuda", cuda)
            return


def say_devices(library: Any) -> None:
    """Every GPU with its slices, or why it does not answer."""
    count = c_uint(0)
    code = call(library, "nvmlDeviceGetCount_v2", byref(count))
    if code != SUCCESS:
        say("count", error(library, code))
        return
    for index in range(count.value):
        handle = c_void_p()
        code = call(library, "nvmlDeviceGetHandleByIndex_v2", index, byref(handle))
        found = error(library, code) if code != SUCCESS else gpu(library, handle)
        say("device", {"index": index, **found})
        for part in slices(library, handle) if found.get("mig") else ():
            say("slice", {"index": index, **part})
    say("count", count.value)


def say_libcuda(*, cuda_init: bool) -> None:
    """The version of the libcuda that a program of this environment loads, and whether CUDA starts, when asked."""
    for library in libraries("libcuda.so.1"):
        version = number(library, "cuDriverGetVersion")
        if version:
            say("libcuda", {"cuda": version, "path": mapped("libcuda.so")})
        if cuda_init:
            say("cuInit", call(library, "cuInit", 0))
        return


def init() -> tuple[Any, int]:
    """The first NVML that starts, else the first there is with its error; the stub of a CUDA toolkit never starts."""
    failed: tuple[Any, int] = (None, LIBRARY_NOT_FOUND)
    for library in libraries("libnvidia-ml.so.1"):
        code = call(library, "nvmlInit_v2")
        if code == SUCCESS:
            return library, code
        if failed[0] is None:
            failed = library, code
    return failed


def main(arguments: Sequence[str]) -> None:
    """Say everything that NVML and libcuda tell."""
    library, code = init()
    say("init", {"code": SUCCESS} if code == SUCCESS else error(library, code))
    if code == SUCCESS:
        say_driver(library)
        say_devices(library)
    say_libcuda(cuda_init="--cuda-init" in arguments)
    say("end", None)
    os._exit(0)
