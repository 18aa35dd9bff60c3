"""``verl-env probe --json`` beside ``nvidia-smi``: what the whole command takes, not only its question to the driver.

    python benchmarks/probe.py [RUNS]

All commands run in turn, round by round, so that a busy moment of the machine meets each of them. verl-env is that of
the Python that runs this script; it must be installed from its wheel, with bytecode. On a machine without nvidia-smi
there is no peer: a library that answers NVML's functions at once takes the driver's place where gcc is there, and the
figures are those of everything but the driver.

The first row is a first run, for which nothing is remembered of compilers and build tools; the second is every other.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from measure import Command, in_turn, ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT = 1 / 3
SCRIPTS = Path(sys.executable).parent
PROBE = [str(SCRIPTS / "verl-env"), "probe", "--json"]

#: One healthy GPU, as far as the probe asks.
DRIVER = r"""
#include <string.h>
typedef struct { char old[16]; unsigned domain, bus, device, id, subsystem; char address[32]; } Pci;
static int say(char *to, unsigned size, const char *text) { strncpy(to, text, size); return 0; }
int nvmlInit_v2(void) { return 0; }
const char *nvmlErrorString(int code) { return "error"; }
int nvmlSystemGetDriverVersion(char *to, unsigned size) { return say(to, size, "580.65.06"); }
int nvmlSystemGetNVMLVersion(char *to, unsigned size) { return say(to, size, "13.580.65.06"); }
int nvmlSystemGetCudaDriverVersion_v2(int *to) { *to = 13000; return 0; }
int nvmlDeviceGetCount_v2(unsigned *to) { *to = 1; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **to) { *to = (void *)1; return 0; }
int nvmlDeviceGetName(void *gpu, char *to, unsigned size) { return say(to, size, "NVIDIA H200"); }
int nvmlDeviceGetUUID(void *gpu, char *to, unsigned size) { return say(to, size, "GPU-0"); }
int nvmlDeviceGetMemoryInfo(void *gpu, unsigned long long *to) { to[0] = 150754820096ULL; return 0; }
int nvmlDeviceGetCudaComputeCapability(void *gpu, int *major, int *minor) { *major = 9; *minor = 0; return 0; }
int nvmlDeviceGetComputeMode(void *gpu, unsigned *to) { *to = 0; return 0; }
int nvmlDeviceGetMigMode(void *gpu, unsigned *now, unsigned *next) { *now = *next = 0; return 0; }
int nvmlDeviceGetPciInfo_v3(void *gpu, Pci *to) { to->id = 0x233510DE; strcpy(to->address, "0:10:00.0"); return 0; }
"""


def without_driver(folder: Path) -> Mapping[str, str]:
    """The environment in which NVML is the library above; that of this process without a compiler."""
    compiler = shutil.which("gcc")
    if compiler is None:
        return {**os.environ}
    source, library = folder / "nvml.c", folder / "libnvidia-ml.so.1"
    source.write_text(DRIVER)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-w", "-o", library, source], check=True)
    return {**os.environ, "LD_LIBRARY_PATH": f"{folder}:{os.environ.get('LD_LIBRARY_PATH', '')}"}


def main() -> int:
    """Prints the figures; 1 when the limit is not kept."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    smi = shutil.which("nvidia-smi")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = dict(os.environ) if smi else dict(without_driver(folder))
        cold = {**env, "XDG_CACHE_HOME": str(folder / "cold")}
        warm = {**env, "XDG_CACHE_HOME": str(folder / "warm")}
        commands = [
            Command("verl-env probe --json, first run", PROBE, cold, lambda: shutil.rmtree(folder / "cold", True)),
            Command("verl-env probe --json", PROBE, warm),
            Command("verl-env probe --json, PATH of the system", PROBE, {**warm, "PATH": "/usr/bin:/bin"}),
            Command("python -c pass", [sys.executable, "-c", "pass"], env),
            Command("verl-env --version", [PROBE[0], "--version"], env),
            *([Command("nvidia-smi", [smi])] if smi else []),
        ]
        found = in_turn(commands, runs)
    for each in found:
        low, middle, high = (1e3 * value for value in (min(each.wall), statistics.median(each.wall), max(each.wall)))
        print(f"  {each.name:<44} min {low:7.1f}   median {middle:7.1f}   max {high:7.1f} ms")
    if not smi:
        print("  no nvidia-smi here: no ratio")
        return 0
    for each in found[:3]:
        print(f"  {each.name}: {ratio(each, found[-1]):.2f} of nvidia-smi")
    kept = ratio(found[1], found[-1]) <= LIMIT
    print(f"  at most {LIMIT:.2f}: {'kept' if kept else 'NOT KEPT'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
