"""An environment with a torch, NVIDIA wheels and extensions, all made of a few lines of C."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verl_env.doctor.checks import CHECKS
from verl_env.doctor.engines.host import HostFacts
from verl_env.doctor.gather import gather
from verl_env.doctor.run import diagnose
from verl_env.machine.model import Host, Machine, Nvidia
from verl_env.records import replace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.conftest import Compile
    from tests.doctor.conftest import Environment
    from verl_env.doctor.model import Diagnosis

JIT_NAME = "-Wl,-soname,libnvJitLink.so.12"
TORCH_RPATH = "-Wl,-rpath,$ORIGIN:$ORIGIN/../../nvidia/cusparse/lib:$ORIGIN/../../nvidia/nccl/lib"
LOOSE = "-Wl,--allow-shlib-undefined"
FLASH = "flash_attn_2_cuda.cpython-310-x86_64-linux-gnu.so"
TORCH_SYMBOL = "_ZN3c104cuda9SetDeviceEa"
PRELOADING = '_preload_cuda_deps("nvjitlink", "libnvJitLink.so.*[0-9]")\n'


def defining(*symbols: str) -> str:
    """C code that defines symbols by their mangled names."""
    return "\n".join(f'void f{i}(void) __asm__("{name}"); void f{i}(void) {{}}' for i, name in enumerate(symbols))


def using(*symbols: str) -> str:
    """C code that needs symbols by their mangled names, and can be imported."""
    calls = "\n".join(f'extern void f{i}(void) __asm__("{name}");' for i, name in enumerate(symbols))
    body = "".join(f"f{i}();" for i in range(len(symbols)))
    return f"{calls}\nvoid *PyInit_x(void) {{ {body} return 0; }}"


def fat_binary(*capabilities: int) -> str:
    """C code of an object that holds machine code for compute capabilities (ten times the number)."""
    entries = b"".join(
        struct.pack("<HHIQ", 2, 0, 64, 0) + bytes(12) + struct.pack("<I", c) + bytes(32) for c in capabilities
    )
    record = struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(entries)) + entries
    body = ",".join(map(str, record))
    return f'__attribute__((section(".nv_fatbin"), used)) static const unsigned char fat[] = {{{body}}};'


@dataclass
class Stack:
    """An environment with a torch, NVIDIA wheels and an extension, all made of a few lines of C."""

    environment: Environment
    build: Compile

    def under(self, variables: Mapping[str, str], machine: Machine | None = None, log: str = "") -> Diagnosis:
        facts = gather(self.environment.prefix, variables, machine or MACHINE, host=HostFacts())
        return diagnose(replace(facts, log=log), CHECKS)

    def diagnose(self, **variables: str) -> Diagnosis:
        return self.under(variables)

    def errors(self, **variables: str) -> set[str]:
        return {finding.id for finding in self.diagnose(**variables).findings if finding.severity == "error"}

    def roots(self, **variables: str) -> set[str]:
        return {finding.id for finding in self.diagnose(**variables).roots if finding.severity == "error"}

    @property
    def site(self) -> Path:
        return self.environment.site

    def compile(self, path: str, source: str, *flags: str) -> str:
        self.build(self.site / path, source, *flags)
        return path

    def install(
        self, name: str, version: str, *paths: str, requires: tuple[str, ...] = (), tag: str = "py3-none-any"
    ) -> None:
        info = self.environment.add(name, version, requires=requires, tag=tag)
        self.environment.record(info, list(paths))


MACHINE = Machine(host=Host(glibc="2.99", arch="x86_64"), nvidia=Nvidia(driver="580.65.06"), amd=None)


def whole_stack(environment: Environment, compile_so: Compile) -> Stack:
    """A healthy one: torch 2.6 for CUDA 12.4 with the wheels that it loads."""
    made = Stack(environment, compile_so)
    jit = made.compile(
        "nvidia/nvjitlink/lib/libnvJitLink.so.12",
        defining("__nvJitLinkComplete_12_4"),
        "-Wl,-soname,libnvJitLink.so.12",
    )
    sparse = made.compile(
        "nvidia/cusparse/lib/libcusparse.so.12",
        using("__nvJitLinkComplete_12_4"),
        "-Wl,-soname,libcusparse.so.12",
        f"-L{made.site}/nvidia/nvjitlink/lib",
        "-l:libnvJitLink.so.12",
        "-Wl,-rpath,$ORIGIN/../../nvjitlink/lib",
        "-Wl,--enable-new-dtags",
    )
    nccl = made.compile("nvidia/nccl/lib/libnccl.so.2", defining("ncclCommInitAll"), "-Wl,-soname,libnccl.so.2")
    lib = "torch/lib"
    c10 = made.compile(f"{lib}/libc10.so", defining(TORCH_SYMBOL), "-Wl,-soname,libc10.so")
    paths = (
        "-Wl,-rpath,$ORIGIN:$ORIGIN/../../nvidia/cusparse/lib:$ORIGIN/../../nvidia/nccl/lib",
        "-Wl,--disable-new-dtags",
    )
    link = (f"-L{made.site}/nvidia/cusparse/lib", "-l:libcusparse.so.12", "-Wl,--no-as-needed")
    deps = made.compile(f"{lib}/libtorch_global_deps.so", "", "-Wl,--no-as-needed", *link, *paths, LOOSE)
    cuda = made.compile(
        f"{lib}/libtorch_cuda.so",
        using("ncclCommInitAll"),
        f"-L{made.site}/nvidia/nccl/lib",
        "-l:libnccl.so.2",
        *paths,
    )
    python = made.compile(
        f"{lib}/libtorch_python.so",
        "",
        "-Wl,--no-as-needed",
        f"-L{made.site}/{lib}",
        "-lc10",
        "-l:libtorch_cuda.so",
        *paths,
        LOOSE,
    )
    (made.site / "torch/__init__.py").write_text("# no preloads\n")
    (made.site / "torch/version.py").write_text("cuda: Optional[str] = '12.4'\nhip: Optional[str] = None\n")
    own = ("torch/__init__.py", "torch/version.py", c10, deps, cuda, python)
    made.install("torch", "2.6.0", *own, requires=("nvidia-nccl-cu12==2.21.5",))
    made.install("nvidia-nvjitlink-cu12", "12.4.127", jit)
    made.install("nvidia-cusparse-cu12", "12.3.1.170", sparse)
    made.install("nvidia-nccl-cu12", "2.21.5", nccl)
    return made
