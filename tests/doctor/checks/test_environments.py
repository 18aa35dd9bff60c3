"""Checks that read an environment: each is silent on one that is whole, and speaks when that one is broken.

A case makes a whole environment and yields; what it does afterwards breaks it.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.doctor.checks.world import World
from tests.doctor.stack import Stack, defining, fat_binary, using
from verl_env.environment.state import State, write_state

if TYPE_CHECKING:
    from verl_env.doctor.model import Severity

Case = Callable[[World], Iterator[None]]
CASES: dict[str, tuple[Severity, Case]] = {}
TORCH_SYMBOL = "_ZN3c104cuda9SetDeviceEa"
LOST_SYMBOL = "_ZN3c106detail4goneEv"


def case(check: str, severity: Severity) -> Callable[[Case], Case]:
    """Enters a case under the check that it is for."""

    def enter(made: Case) -> Case:
        CASES[check] = (severity, made)
        return made

    return enter


@case("aiter-read-only", "warning")
def _(w: World) -> Iterator[None]:
    jit = w.site / "aiter" / "jit"
    jit.mkdir(parents=True)
    yield
    jit.rmdir()


@case("compile-cache-stale", "info")
def _(w: World) -> Iterator[None]:
    w.add("vllm", "0.11.0")
    cache = w.beside / "vllm" / "torch_compile_cache"
    cache.mkdir(parents=True)
    w.place("vllm-cache", w.beside / "vllm")
    yield
    os.utime(cache, (1, 1))


@case("file-claimed-twice", "warning")
def _(w: World) -> Iterator[None]:
    w.add("one", "1", files={"shared/x.py": "first"})
    yield
    w.add("two", "1", files={"shared/x.py": "another"})


@case("files-damaged", "error")
def _(w: World) -> Iterator[None]:
    w.add("whole", "1", files={"whole/x.py": "def f():\n    return 1\n"})
    yield
    (w.site / "whole/x.py").unlink()


@case("files-edited", "info")
def _(w: World) -> Iterator[None]:
    w.add("whole", "1", files={"whole/x.py": "def f():\n    return 1\n"})
    yield
    w.write("whole/x.py", "def f():\n    return 1000\n")


@case("flash-attn-te-range", "warning")
def _(w: World) -> Iterator[None]:
    text = 'version_required = PkgVersion("2.1.1")\nmax_version = PkgVersion("2.7.3")\n'
    w.write("transformer_engine/pytorch/attention/utils.py", text)
    w.add("flash-attn", "2.7.3")
    yield
    shutil.rmtree(next(w.site.glob("flash_attn-*")))
    w.add("flash-attn", "2.8.3")


@case("install-dirty", "warning")
def _(w: World) -> Iterator[None]:
    w.add("numpy", "1.26.4")
    yield
    w.add("numpy", "2.2.6")


@case("machine-misfit", "error")
def _(w: World) -> Iterator[None]:
    facts = {"flash-attn": {"gpus": ["9.0"]}}
    state = State("/e", "verl9.9-cu999/none", "vllm", "3.10", "d", None, {}, (), facts=facts)
    write_state(w.environment.prefix, state)
    w.capability = "9.0"
    yield
    w.capability = "12.0"


@case("megatron-injected", "warning")
def _(w: World) -> Iterator[None]:
    w.add("transformer-engine", "2.2.0")
    w.variables["PYTHONPATH"] = "/src/Megatron-LM"
    yield
    w.container = "apptainer"


@case("ninja-missing", "warning")
def _(w: World) -> Iterator[None]:
    w.add("flashinfer-python", "0.5.2")
    w.host["tools"] = {"ninja": "/usr/bin/ninja"}
    yield
    w.host["tools"] = {"ninja": None}


@case("not-looked", "error")
def _(w: World) -> Iterator[None]:
    w.add("whole", "1", files={"whole/x.py": ""})
    yield
    w.write("whole-1.dist-info/RECORD")


@case("nvcc-missing", "warning")
def _(w: World) -> Iterator[None]:
    w.capability = "9.0"
    w.add("flashinfer-python", "0.5.2")
    w.nvcc = "12.8"
    yield
    w.nvcc = None


@case("outlines-pin", "warning")
def _(w: World) -> Iterator[None]:
    w.add("outlines", "0.1.11")
    w.add("sglang", "0.4.6", "outlines<=0.1.11,>=0.0.44")
    yield
    shutil.rmtree(next(w.site.glob("outlines-*")))
    w.add("outlines", "1.0")


@case("packages-from-outside", "warning")
def _(w: World) -> Iterator[None]:
    user = w.beside / "lib" / "python3.10" / "site-packages" / "torch-2.1.0.dist-info"
    user.mkdir(parents=True)
    (user / "METADATA").write_text("Name: torch\nVersion: 2.1.0\n\n")
    w.variables["PYTHONUSERBASE"] = str(w.beside)
    yield
    config = w.environment.prefix / "pyvenv.cfg"
    config.write_text(config.read_text().replace("packages = false", "packages = true"))


@case("packages-leak-in", "error")
def _(w: World) -> Iterator[None]:
    (w.beside / "torch-2.1.0.dist-info").mkdir()
    (w.beside / "torch-2.1.0.dist-info" / "METADATA").write_text("Name: torch\nVersion: 2.1.0\n\n")
    w.add("torch", "2.6.0")
    yield
    w.variables["PYTHONPATH"] = str(w.beside)


@case("python-gone", "error")
def _(w: World) -> Iterator[None]:
    python = w.environment.prefix / "bin/python"
    python.parent.mkdir(exist_ok=True)
    python.unlink(missing_ok=True)
    python.symlink_to(w.beside / "python3.10")
    (w.beside / "python3.10").touch()
    yield
    (w.beside / "python3.10").unlink()


@case("python-headers", "warning")
def _(w: World) -> Iterator[None]:
    header = w.beside / "include" / "python3.10" / "Python.h"
    header.parent.mkdir(parents=True)
    header.touch()
    (w.environment.prefix / "pyvenv.cfg").write_text(f"home = {w.beside}/bin\nversion = 3.10.4\n")
    yield
    header.unlink()


@case("ray-version-skew", "warning")
def _(w: World) -> Iterator[None]:
    w.host["processes"] = {"raylet": (f"{w.environment.prefix.resolve()}/bin/raylet",)}
    yield
    w.host["processes"] = {"raylet": ("/other/env/bin/raylet",)}


@case("requirements-unmet", "warning")
def _(w: World) -> Iterator[None]:
    w.add("alpha", "1", "beta>=2")
    w.add("beta", "2")
    yield
    shutil.rmtree(next(w.site.glob("beta-*")))


@case("sgl-kernel-variant", "warning")
def _(w: World) -> Iterator[None]:
    (w.site / "sgl_kernel" / "sm90").mkdir(parents=True)
    w.capability = "9.0"
    yield
    w.capability = "10.0"


def _names(w: World, module: str, importer: str) -> Iterator[None]:
    w.add("verl", "0.6.0", files={"verl/__init__.py": "", importer: f"from {module}.utils import thing\n"})
    w.add(module, "1.0", files={f"{module}/__init__.py": "", f"{module}/utils.py": "def thing(): ...\n"})
    yield
    w.write(f"{module}/utils.py", "def another(): ...\n")


@case("vllm-names", "error")
def _(w: World) -> Iterator[None]:
    return _names(w, "vllm", "verl/workers/rollout/vllm_rollout/server.py")


@case("sglang-names", "error")
def _(w: World) -> Iterator[None]:
    return _names(w, "sglang", "verl/workers/rollout/sglang_rollout/server.py")


@case("verl-names", "error")
def _(w: World) -> Iterator[None]:
    return _names(w, "transformers", "verl/utils/model.py")


@case("torch-replaced", "error")
def _(w: World) -> Iterator[None]:
    w.add("vllm", "0.8.5", "torch==2.6.0")
    w.add("torchvision", "0.21.0", "torch==2.6.0")
    w.add("torch", "2.6.0+cu124")
    yield
    shutil.rmtree(next(w.site.glob("torch-*")))
    w.add("torch", "2.7.1")


@case("transformer-engine-cudnn", "error")
def _(w: World) -> Iterator[None]:
    w.add("transformer-engine", "2.2.0")
    for name in ("libcudnn.so.9", "libcudnn_adv.so.9", "libcudnn_ops.so.9"):
        w.write(f"nvidia/cudnn/lib/{name}")
    yield
    (w.site / "nvidia/cudnn/lib/libcudnn_adv.so.9").unlink()


@case("uv-cache-elsewhere", "info")
def _(w: World) -> Iterator[None]:
    w.place("uv-cache", w.beside, device=w.environment.prefix.stat().st_dev)
    yield
    w.place("uv-cache", w.beside, device=-1)


@case("apex-python-only", "warning")
def _(w: World) -> Iterator[None]:
    w.object("apex", "amp_C.cpython-310-x86_64-linux-gnu.so")
    yield
    (w.site / "amp_C.cpython-310-x86_64-linux-gnu.so").unlink()


def _symbols(w: World, name: str, path: str) -> Iterator[None]:
    w.object(name, path, using(TORCH_SYMBOL))
    yield
    w.build(w.site / path, using(LOST_SYMBOL))


@case("sgl-kernel-abi", "error")
def _(w: World) -> Iterator[None]:
    return _symbols(w, "sgl-kernel", "sgl_kernel/sm90/common_ops.abi3.so")


@case("transformer-engine-abi", "error")
def _(w: World) -> Iterator[None]:
    return _symbols(w, "transformer-engine-torch", "transformer_engine_torch.cpython-310-x86_64-linux-gnu.so")


@case("extension-abi", "error")
def _(w: World) -> Iterator[None]:
    return _symbols(w, "selective-scan", "selective_scan_cuda.cpython-310-x86_64-linux-gnu.so")


def _libraries(w: World, name: str, path: str, *sonames: str) -> Iterator[None]:
    """An object that needs libraries, which lie on LD_LIBRARY_PATH and then nowhere."""
    flags = [flag for soname in sonames for flag in w.stub(soname)]
    w.object(name, path, "", *flags)
    w.variables["LD_LIBRARY_PATH"] = str(w.beside)
    yield
    for soname in sonames:
        (w.beside / soname).unlink()


@case("cuda-library-missing", "error")
def _(w: World) -> Iterator[None]:
    return _libraries(w, "vllm", "vllm/_C.abi3.so", "libcusparseLt.so.0")


@case("cuda12-package-in-cuda13", "error")
def _(w: World) -> Iterator[None]:
    return _libraries(w, "vllm", "vllm/_C.abi3.so", "libcudart.so.11")


@case("deepep-load", "error")
def _(w: World) -> Iterator[None]:
    return _libraries(w, "deep-ep", "deep_ep_cpp.cpython-310-x86_64-linux-gnu.so", "libnvshmem_host.so.3")


@case("libnuma-missing", "error")
def _(w: World) -> Iterator[None]:
    return _absent(w, "sgl-kernel", "libnuma.so.99")


@case("rdma-libraries-missing", "warning")
def _(w: World) -> Iterator[None]:
    return _absent(w, "nixl", "libibverbs.so.99")


@case("libgl-missing", "warning")
def _(w: World) -> Iterator[None]:
    return _absent(w, "opencv-python", "libGL.so.99")


def _absent(w: World, name: str, soname: str) -> Iterator[None]:
    """The same, in a release that no host has."""
    return _libraries(w, name, f"{name.replace('-', '_')}/x.abi3.so", soname)


@case("hip-library", "error")
def _(w: World) -> Iterator[None]:
    w.add("torch", "2.6.0")
    w.write("torch/version.py", "cuda: Optional[str] = None\nhip: Optional[str] = '6.2.41133'\n")
    return _libraries(w, "vllm", "vllm/_rocm_C.abi3.so", "libamdhip64.so.99")


@case("cuda-library-shadowed", "error")
def _(w: World) -> Iterator[None]:
    yield
    w.build(w.beside / "libnvJitLink.so.12", defining("old"), "-Wl,-soname,libnvJitLink.so.12")
    w.variables["LD_LIBRARY_PATH"] = str(w.beside)


@case("cudnn-versions", "warning")
def _(w: World) -> Iterator[None]:
    soname = "-Wl,-soname,libcudnn.so.9"
    flags = ("-Wl,--no-as-needed", f"-L{w.site}/nvidia/cudnn/lib", "-l:libcudnn.so.9", "-Wl,--enable-new-dtags")
    w.build(w.site / "nvidia/cudnn/lib/libcudnn.so.9", "", soname)
    own = "-Wl,-rpath,$ORIGIN/../../nvidia/cudnn/lib"
    w.build(w.site / "torch/lib/libtorch_python.so", "", *flags, own)
    yield
    w.build(w.beside / "libcudnn.so.9", "", soname)
    w.variables["LD_LIBRARY_PATH"] = str(w.beside)


@case("driver-symbol-missing", "error")
def _(w: World) -> Iterator[None]:
    flags = w.stub("libcuda.so.1", defining("cuTensorMapEncodeTiled"))
    w.object("vllm", "vllm/_C.abi3.so", using("cuTensorMapEncodeTiled"), *flags)
    w.variables["LD_LIBRARY_PATH"] = str(w.beside)
    yield
    w.stub("libcuda.so.1", defining("cuInit"))


@case("extension-gpu-architecture", "error")
def _(w: World) -> Iterator[None]:
    w.object("vllm", "vllm/_C.abi3.so", fat_binary(80, 90))
    w.capability = "9.0"
    yield
    w.capability = "12.0"


@case("foreign-python-wheel", "error")
def _(w: World) -> Iterator[None]:
    w.object("thing", "thing.cpython-310-x86_64-linux-gnu.so", "int y;", tag="cp310-cp310-linux_x86_64")
    yield
    w.object("other", "other.cpython-312-x86_64-linux-gnu.so", "int y;", tag="cp312-cp312-linux_x86_64")


@case("libcuda-not-linked", "warning")
def _(w: World) -> Iterator[None]:
    (w.environment.prefix / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    w.capability = "9.0"
    w.host["nodes"] = frozenset({"/dev/nvidia0"})
    w.stub("libcuda.so.1")
    w.variables["LD_LIBRARY_PATH"] = str(w.beside)
    yield
    (w.beside / "libcuda.so.1").unlink()
    if any(Path(folder, "libcuda.so.1").exists() for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/lib64")):
        pytest.skip("this host has a driver")


@case("libstdcxx-too-old", "error")
def _(w: World) -> Iterator[None]:
    versions = w.beside / "versions.map"
    versions.write_text("GLIBCXX_3.4.99 { global: *; };\n")
    flags = w.stub("libstdc++.so.6", defining("newer"))
    w.build(
        w.beside / "libstdc++.so.6", defining("newer"), "-Wl,-soname,libstdc++.so.6", f"-Wl,--version-script={versions}"
    )
    w.object("thing", "thing/x.abi3.so", using("newer"), *flags)
    w.variables["LD_LIBRARY_PATH"] = str(w.beside)
    yield
    versions.write_text("GLIBCXX_3.4.1 { global: *; };\n")
    w.build(
        w.beside / "libstdc++.so.6", defining("newer"), "-Wl,-soname,libstdc++.so.6", f"-Wl,--version-script={versions}"
    )


#: Cases that need a torch made of C.
WITH_TORCH = {
    "apex-python-only",
    "cuda-library-missing",
    "cuda-library-shadowed",
    "cuda12-package-in-cuda13",
    "cudnn-versions",
    "deepep-load",
    "extension-abi",
    "libgl-missing",
    "libnuma-missing",
    "rdma-libraries-missing",
    "sgl-kernel-abi",
    "transformer-engine-abi",
}


@pytest.mark.parametrize("check", CASES)
def test_environments(check: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    severity, made = CASES[check]
    stack = request.getfixturevalue("stack") if check in WITH_TORCH else None
    environment = stack.environment if isinstance(stack, Stack) else request.getfixturevalue("environment")
    beside = tmp_path / "beside"
    beside.mkdir()
    world = World(environment, request.getfixturevalue("compile_so"), beside)
    steps = made(world)

    next(steps)
    whole = world.says(check)
    next(steps, None)
    broken = world.says(check)

    assert whole is None
    assert broken is not None
    assert broken.severity == severity
    assert broken.evidence
    assert all(broken.evidence)
