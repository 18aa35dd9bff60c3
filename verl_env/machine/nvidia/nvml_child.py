"""The child process that asks NVML; nothing of verl-env is imported here, so that it starts fast.

Run as ``python -I -S nvml_child.py [--cuda-init] PYNVML_FILE...``. Each fact is one line of JSON, ``[kind, value]``,
written as soon as it is known: what a hanging driver had said before it hung is not lost. Every call into the library
is guarded on its own.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import sys
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

NOT_SUPPORTED = 3
NOT_FOUND = 12
#: The GPU is lost; the GPU needs a reset.
GONE = (15, 16)
#: Where the libraries of the driver are besides the loader's path: WSL, container hosts of cloud vendors, NixOS.
DIRECTORIES = ("/usr/lib/wsl/lib", "/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/run/opengl-driver/lib")
COMPUTE_MODES = ("Default", "Exclusive_Thread", "Prohibited", "Exclusive_Process")
FABRIC_STATES = (None, "Not Started", "In Progress", "Completed")


class Failed:
    """A call that failed: NVML's error number, or -1 for any other exception, and its text."""

    def __init__(self, error: Exception) -> None:
        code = getattr(error, "value", -1)
        self.code = code if isinstance(code, int) else -1
        self.text = describe(error)


def describe(error: Exception) -> str:
    """The words of an error; those of NVML ask the library and may fail in turn."""
    try:
        return str(error) or type(error).__name__
    except Exception:  # noqa: BLE001
        return type(error).__name__


def query(function: Callable[..., Any] | None, *args: object) -> Any:
    """The one place where a library is called: its answer, or ``Failed``."""
    try:
        answer = function(*args) if function is not None else Failed(LookupError("no such function"))
        return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    except Exception as error:  # noqa: BLE001
        return Failed(error)


def say(kind: str, value: object) -> None:
    """Write one fact for the parent."""
    sys.stdout.write(json.dumps([kind, value]) + "\n")
    sys.stdout.flush()


def load(paths: Sequence[str]) -> types.ModuleType | None:
    """The first of the files that is NVIDIA's binding; others of the same name are told and passed over."""
    # The binding imports find_library, which it needs on Windows only and whose module costs a third of the start.
    stand_in = types.ModuleType("ctypes.util")
    stand_in.__dict__["find_library"] = lambda _: None
    sys.modules.setdefault("ctypes.util", stand_in)
    for path in paths:
        spec = importlib.util.spec_from_file_location("pynvml", path)
        if spec is None or spec.loader is None:
            continue
        # The binding looks itself up while it is executed.
        module = sys.modules["pynvml"] = importlib.util.module_from_spec(spec)
        failed = query(spec.loader.exec_module, module)
        if not isinstance(failed, Failed) and all(hasattr(module, name) for name in ("nvmlInit", "nvmlDeviceGetCount")):
            return module
        say("foreign", path)
    return None


def libraries(name: str) -> Iterator[ctypes.CDLL]:
    """The library of the loader's path, then those of the other places."""
    for path in (name, *(f"{directory}/{name}" for directory in DIRECTORIES)):
        library = query(ctypes.CDLL, path)
        if isinstance(library, ctypes.CDLL):
            yield library


def mapped(name: str) -> str | None:
    """The file from which this process has loaded a library."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:  # noqa: PTH123
            files = (line.split(maxsplit=5)[-1].strip() for line in maps if name in line)
            return next((os.path.realpath(file) for file in files if file.startswith("/")), None)
    except OSError:
        return None


def init(nvml: types.ModuleType) -> Failed | None:
    """Start NVML from the loader's path, else from the first other place that has it."""
    failed = query(nvml.nvmlInit)
    if not isinstance(failed, Failed) or failed.code != NOT_FOUND:
        return failed if isinstance(failed, Failed) else None
    for library in libraries("libnvidia-ml.so.1"):
        nvml.__dict__["nvmlLib"] = library
        again = query(nvml.nvmlInit)
        return again if isinstance(again, Failed) else None
    return failed


def say_libcuda(*, cuda_init: bool) -> None:
    """The version of the libcuda that a program of this environment loads, and whether CUDA starts, when asked."""
    for library in libraries("libcuda.so.1"):
        version = ctypes.c_int(0)
        if query(library.cuDriverGetVersion, ctypes.byref(version)) == 0:
            say("libcuda", {"cuda": version.value, "path": mapped("libcuda.so")})
        if cuda_init:
            code = query(library.cuInit, 0)
            say("cuInit", None if isinstance(code, Failed) else code)
        return


def capability(nvml: types.ModuleType, handle: object) -> str | None:
    """The compute capability of a device."""
    answer = query(getattr(nvml, "nvmlDeviceGetCudaComputeCapability", None), handle)
    try:
        major, minor = answer
    except TypeError:
        return None
    return f"{major}.{minor}"


def memory(nvml: types.ModuleType, handle: object) -> dict[str, Any]:
    """The memory of a device; None where it has none of its own."""
    answer = query(getattr(nvml, "nvmlDeviceGetMemoryInfo", None), handle)
    if isinstance(answer, Failed):
        return {"memory": None} if answer.code == NOT_SUPPORTED else {}
    return {"memory": int(answer.total)}


def fabric(nvml: types.ModuleType, handle: object) -> dict[str, Any]:
    """The state of the NVSwitch fabric of a GPU, through whichever form of the call the driver knows."""
    forms = (
        ("nvmlDeviceGetGpuFabricInfoV", "c_nvmlGpuFabricInfo_v3_t"),
        ("nvmlDeviceGetGpuFabricInfoV", "c_nvmlGpuFabricInfoV_t"),
        ("nvmlDeviceGetGpuFabricInfo", "c_nvmlGpuFabricInfo_t"),
    )
    for function, structure in forms:
        info = query(getattr(nvml, structure, None))
        if isinstance(info, Failed):
            continue
        failed = query(getattr(nvml, function, None), handle, query(ctypes.byref, info))
        if not isinstance(failed, Failed):
            state = query(FABRIC_STATES.__getitem__, info.state)
            return {} if isinstance(state, Failed) else {"fabric": state, "fabric_status": int(info.status)}
    return {}


def facts(nvml: types.ModuleType, handle: object) -> dict[str, Any]:
    """What GPUs and slices have alike."""
    found = memory(nvml, handle)
    for key, function in (("name", "nvmlDeviceGetName"), ("uuid", "nvmlDeviceGetUUID")):
        answer = query(getattr(nvml, function, None), handle)
        if isinstance(answer, str):
            found[key] = answer
        elif isinstance(answer, Failed) and answer.code in GONE:
            found.update(code=answer.code, text=answer.text)
    if cc := capability(nvml, handle):
        found["cc"] = cc
    return found


def gpu(nvml: types.ModuleType, handle: object) -> dict[str, Any]:
    """What only a whole GPU has: place on the bus, compute mode, slicing, fabric."""
    found = {**facts(nvml, handle), **fabric(nvml, handle)}
    pci = query(getattr(nvml, "nvmlDeviceGetPciInfo", None), handle)
    if not isinstance(pci, Failed):
        bus = pci.busId
        found["address"] = bus.decode("ascii", "replace") if isinstance(bus, bytes) else str(bus)
        found["device_id"] = f"{int(pci.pciDeviceId):08x}"
    mode = query(COMPUTE_MODES.__getitem__, query(getattr(nvml, "nvmlDeviceGetComputeMode", None), handle))
    if isinstance(mode, str):
        found["compute_mode"] = mode
    mig = query(getattr(nvml, "nvmlDeviceGetMigMode", None), handle)
    found["mig"] = bool(mig[0]) if isinstance(mig, list) else None
    return found


def slices(nvml: types.ModuleType, handle: object) -> Iterator[dict[str, Any]]:
    """The MIG slices of a GPU."""
    most = query(getattr(nvml, "nvmlDeviceGetMaxMigDeviceCount", None), handle)
    for number in range(0 if isinstance(most, Failed) else int(most)):
        part = query(getattr(nvml, "nvmlDeviceGetMigDeviceHandleByIndex", None), handle, number)
        if not isinstance(part, Failed):
            yield facts(nvml, part)


def say_devices(nvml: types.ModuleType) -> None:
    """Every GPU with its slices, or why it does not answer."""
    count = query(nvml.nvmlDeviceGetCount)
    if isinstance(count, Failed):
        say("count", {"code": count.code, "text": count.text})
        return
    for index in range(count):
        handle = query(getattr(nvml, "nvmlDeviceGetHandleByIndex", None), index)
        if isinstance(handle, Failed):
            say("device", {"index": index, "code": handle.code, "text": handle.text})
            continue
        found = gpu(nvml, handle)
        say("device", {"index": index, **found})
        for part in slices(nvml, handle) if found["mig"] else ():
            say("slice", {"index": index, **part})
    say("count", count)


def main(arguments: Sequence[str]) -> None:
    """Say everything that NVML and libcuda tell."""
    paths = [argument for argument in arguments if argument != "--cuda-init"]
    nvml = load(paths)
    if nvml is None:
        say("init", {"code": -1, "text": "no nvidia-ml-py"})
    else:
        failed = init(nvml)
        say("init", {"code": failed.code, "text": failed.text} if failed else {"code": 0})
        if failed is None:
            say_driver(nvml)
            say_devices(nvml)
    say_libcuda(cuda_init="--cuda-init" in arguments)
    say("end", None)


def say_driver(nvml: types.ModuleType) -> None:
    """The versions of the kernel driver, of CUDA, and of the library."""
    for kind, function in (
        ("driver", "nvmlSystemGetDriverVersion"),
        ("nvml", "nvmlSystemGetNVMLVersion"),
        ("cuda", "nvmlSystemGetCudaDriverVersion_v2"),
        ("cuda", "nvmlSystemGetCudaDriverVersion"),
    ):
        answer = query(getattr(nvml, function, None))
        if not isinstance(answer, Failed):
            say(kind, answer)


if __name__ == "__main__":
    main(sys.argv[1:])
