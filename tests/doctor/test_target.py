"""Small environments broken for real: what is diagnosed, and what the diagnosis names as the root."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.doctor.stack import FLASH, JIT_NAME, TORCH_SYMBOL, defining, using
from verl_env.doctor.checks import CHECKS
from verl_env.doctor.engines.host import HostFacts
from verl_env.doctor.errors import NoEnvironmentError
from verl_env.doctor.gather import gather
from verl_env.doctor.run import diagnose
from verl_env.doctor.target import InspectedEnvironment
from verl_env.machine.model import Host, Machine

if TYPE_CHECKING:
    from tests.doctor.stack import Stack


def test_a_whole_stack_is_healthy(stack: Stack) -> None:
    assert stack.errors() == set()
    assert stack.diagnose().skipped == ()


def test_torch_is_known_by_its_files(stack: Stack) -> None:
    target = InspectedEnvironment(stack.environment.prefix, {})

    assert target.torch_flavour == "12.4"
    assert {"libc10.so", "libnccl.so.2", "libnvJitLink.so.12"} <= set(target.torch_process.loaded)
    assert target.torch.gaps == ()


@pytest.mark.parametrize(
    ("symbol", "row"),
    [
        ("_ZN3c104cuda9SetDeviceEi", "A3"),
        ("_ZN3c105ErrorC2ENS_14SourceLocationENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE", "A2"),
        ("_ZN2at4_ops5zeros4callEN3c108optionalIS5_EE", "A4"),
        ("_ZNK3c106SymInt6sym_neERKS0_", "A5"),
    ],
)
def test_flash_attn_for_another_torch(stack: Stack, symbol: str, row: str) -> None:
    stack.install("flash-attn", "2.7.4.post1", stack.compile(FLASH, using(symbol)))

    diagnosis = stack.diagnose()

    finding = next(one for one in diagnosis.findings if one.id == "flash-attn-abi")
    assert stack.roots() == {"flash-attn-abi"}
    assert {"failures:A1", f"failures:{row}"} <= set(finding.references)
    assert symbol in finding.evidence[0]
    assert any("--no-build-isolation" in command for command in finding.remedy.commands)


def test_an_extension_that_fits(stack: Stack) -> None:
    path = stack.compile(FLASH, using(TORCH_SYMBOL))
    stack.install("flash-attn", "2.7.4.post1", path)

    assert stack.errors() == set()


def test_weak_symbols_may_be_missing(stack: Stack) -> None:
    source = '__attribute__((weak)) extern void f(void) __asm__("_ZN3c103absE"); void g(void) { if (f) f(); }'
    stack.install("x", "1", stack.compile("x/x.so", source))

    assert stack.errors() == set()


def test_a_removed_library_is_the_root(stack: Stack) -> None:
    stack.install("flash-attn", "2.7.4", stack.compile("flash_attn_2_cuda.so", using(TORCH_SYMBOL)))
    (stack.site / "torch/lib/libc10.so").unlink()

    assert stack.roots() == {"files-damaged"}
    assert "flash-attn-abi" in stack.errors()


def test_a_truncated_library(stack: Stack) -> None:
    path = stack.site / "nvidia/nccl/lib/libnccl.so.2"
    path.write_bytes(path.read_bytes()[:1000])

    finding = next(one for one in stack.diagnose().findings if one.id == "files-damaged")
    assert any("libnccl.so.2" in line for line in finding.evidence)
    assert "files-damaged" in stack.roots()


def test_an_older_library_on_the_path(stack: Stack, tmp_path: Path) -> None:
    stack.build(tmp_path / "old" / "libnvJitLink.so.12", defining("other"), JIT_NAME)

    finding = next(one for one in stack.diagnose(LD_LIBRARY_PATH=str(tmp_path / "old")).findings)

    assert (finding.id, finding.severity) == ("cuda-library-shadowed", "error")
    assert any("__nvJitLinkComplete_12_4" in line for line in finding.evidence)
    assert any(str(tmp_path / "old") in line for line in finding.evidence)


def test_torch_that_mends_it_for_itself(stack: Stack, tmp_path: Path) -> None:
    stack.build(tmp_path / "old" / "libnvJitLink.so.12", defining("other"), JIT_NAME)
    text = 'cuda_libs = {\n    "nvjitlink": "libnvJitLink.so.*[0-9]",\n    "cusparse": "libcusparse.so.*[0-9]",\n}\n'
    (stack.site / "torch/__init__.py").write_text(text)

    diagnosis = stack.diagnose(LD_LIBRARY_PATH=str(tmp_path / "old"))

    assert next(one for one in diagnosis.findings if one.id == "cuda-library-shadowed").severity == "warning"


@pytest.mark.parametrize(
    "after",
    ['_preload_cuda_deps("nvjitlink", "libnvJitLink.so.*[0-9]")', "_preload_cuda_deps()"],
)
def test_torch_that_loads_its_own_first(stack: Stack, tmp_path: Path, after: str) -> None:
    stack.build(tmp_path / "old" / "libnvJitLink.so.12", defining("other"), JIT_NAME)
    listed = '    ("nvjitlink", "libnvJitLink.so.*[0-9]"),\n'
    (stack.site / "torch/__init__.py").write_text(f"cuda_libs = [\n{listed}]\n    {after}\n")
    stack.build(stack.site / "torch/lib/libtorch_global_deps.so", "")

    diagnosis = stack.diagnose(LD_LIBRARY_PATH=str(tmp_path / "old"))

    assert next(one for one in diagnosis.findings if one.id == "cuda-library-shadowed").severity == "warning"


def test_rpath_protects_nccl(stack: Stack, tmp_path: Path) -> None:
    stack.build(tmp_path / "old" / "libnccl.so.2", defining("other"), "-Wl,-soname,libnccl.so.2")

    assert "nccl-not-torchs" not in stack.errors(LD_LIBRARY_PATH=str(tmp_path / "old"))


def test_two_nccl_wheels(stack: Stack) -> None:
    stack.compile("nvidia/nccl/lib/libnccl.so.2", defining("other", "more"), "-Wl,-soname,libnccl.so.2")
    stack.install("nvidia-nccl-cu13", "2.28.9", "nvidia/nccl/lib/libnccl.so.2")

    diagnosis = stack.diagnose()

    finding = next(one for one in diagnosis.roots if one.severity == "error")
    assert finding.id == "nccl-not-torchs"
    assert finding.remedy.fix is not None
    assert finding.remedy.fix.install == ("nvidia-nccl-cu12==2.21.5",)


def test_a_missing_library(stack: Stack) -> None:
    shutil.rmtree(stack.site / "nvidia/nccl")
    shutil.rmtree(next(stack.site.glob("nvidia_nccl*")))

    assert "cuda-library-missing" in stack.roots()


def test_glibc(stack: Stack) -> None:
    stack.install("x", "1", stack.compile("x/x.so", "#include <stdio.h>\nvoid f(void) { puts(0); }"))
    facts = gather(stack.environment.prefix, {}, Machine(host=Host(glibc="2.1")), host=HostFacts())

    assert "glibc-too-old" in {finding.id for finding in diagnose(facts, CHECKS).findings}


def test_an_extension_of_another_python(stack: Stack) -> None:
    path = stack.compile("x/y.cpython-312-x86_64-linux-gnu.so", "int y;")
    stack.install("x", "1", path)

    assert stack.roots() == {"foreign-python-wheel"}


def test_names_that_moved(stack: Stack) -> None:
    files = {
        "vllm/__init__.py": b"",
        "vllm/utils.py": b"def other(): ...\n",
        "verl/__init__.py": b"",
        "verl/workers/rollout/vllm_rollout/server.py": b"from vllm.utils import (\n    get_tcp_uri,\n    other,\n)\n",
    }
    for path, content in files.items():
        (stack.site / path).parent.mkdir(parents=True, exist_ok=True)
        (stack.site / path).write_bytes(content)
    stack.install("vllm", "0.8.5", *(path for path in files if path.startswith("vllm")))
    stack.install("verl", "0.6.0", *(path for path in files if path.startswith("verl")))

    finding = next(one for one in stack.diagnose().findings if one.id == "vllm-names")

    assert finding.severity == "error"
    assert "failures:E2" in finding.references
    assert "get_tcp_uri" in finding.evidence[0]


def test_packages_that_leak_in(stack: Stack, tmp_path: Path) -> None:
    info = tmp_path / "leak" / "torch-2.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: torch\nVersion: 2.1.0\n\n")

    assert "packages-leak-in" in stack.roots(PYTHONPATH=str(tmp_path / "leak"))


def test_a_users_site_is_not_seen_by_a_venv(stack: Stack, tmp_path: Path) -> None:
    info = tmp_path / ".local/lib/python3.10/site-packages/torch-2.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: torch\nVersion: 2.1.0\n\n")

    assert stack.errors(HOME=str(tmp_path)) == set()
    (stack.environment.prefix / "pyvenv.cfg").unlink()
    assert "packages-leak-in" in stack.errors(HOME=str(tmp_path))


def test_traces_of_a_broken_install(stack: Stack) -> None:
    stack.environment.add("numpy", "1.26.4")
    stack.environment.add("numpy", "2.2.6")
    (stack.site / "~umpy").mkdir()

    finding = next(one for one in stack.diagnose().findings if one.id == "install-dirty")

    assert any("1.26.4" in line and "2.2.6" in line for line in finding.evidence)
    assert any("~umpy" in line for line in finding.evidence)


def test_unmet_requirements(stack: Stack) -> None:
    stack.install("alpha", "1", requires=("beta>=2", 'gone; python_version < "3"', "extra-only; extra == 'x'", "delta"))
    stack.install("beta", "1")

    finding = next(one for one in stack.diagnose().findings if one.id == "requirements-unmet")

    assert finding.evidence == (
        "alpha wants beta>=2, installed: 1",
        "alpha wants delta, installed: nothing",
    )


@pytest.mark.parametrize("make", [lambda path: path / "none", lambda path: path])
def test_no_environment(tmp_path: Path, make: object) -> None:
    with pytest.raises(NoEnvironmentError):
        InspectedEnvironment(make(tmp_path), {})  # type: ignore[operator]


def test_the_environment_of_these_tests_has_no_errors() -> None:
    prefix = os.environ.get("VIRTUAL_ENV")
    if not prefix or not (Path(prefix) / "pyvenv.cfg").exists():
        pytest.skip("not in a virtual environment")
    facts = gather(Path(prefix), {}, Machine(), host=HostFacts())

    assert diagnose(facts, CHECKS).ok
