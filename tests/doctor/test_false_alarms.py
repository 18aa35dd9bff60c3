"""What looks like a break in real wheels and is none: seen in fresh environments of published locksets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.doctor.stack import TORCH_SYMBOL, fat_binary, using
from verl_env.machine.model import Host, Machine, Nvidia, NvidiaDevice

if TYPE_CHECKING:
    from tests.doctor.stack import Stack

OLD_SYMBOL = "_ZN3c106detail23torchInternalAssertFailEPKcS2_jS2_RKSs"
HOPPER = Machine(
    host=Host(glibc="2.99", arch="x86_64"),
    nvidia=Nvidia(driver="580.65.06", devices=(NvidiaDevice(0, compute_capability="9.0"),)),
)


def named(stack: Stack, machine: Machine | None = None) -> dict[str, str]:
    return {finding.id: finding.severity for finding in stack.under({}, machine).findings}


def test_one_library_for_each_release_of_torch(stack: Stack) -> None:
    old = stack.compile("chooser/libaddon_torch24-cpu.so", using(OLD_SYMBOL))
    fits = stack.compile("chooser/libaddon_torch26-cpu.so", using(TORCH_SYMBOL))
    stack.install("chooser", "1", old, fits)

    assert "extension-abi" not in named(stack)

    (stack.site / fits).unlink()
    stack.install("another", "1", stack.compile("another/lib_torch24.so", using(OLD_SYMBOL)))
    assert named(stack)["extension-abi"] == "error"


def test_a_package_that_goes_on_without_its_extension(stack: Stack) -> None:
    stack.install("torchao", "0.9.0", stack.compile("torchao/_C.abi3.so", using(OLD_SYMBOL)))

    assert named(stack)["extension-abi"] == "info"

    stack.install("selective-scan", "1", stack.compile("selective_scan_cuda.so", using(OLD_SYMBOL)))
    finding = next(one for one in stack.diagnose().findings if one.id == "extension-abi")
    assert (finding.severity, finding.title) == ("error", "selective-scan does not fit torch 2.6.0")


@pytest.mark.parametrize(
    ("tag", "foreign"),
    [
        ("cp38-abi3-linux_x86_64", False),
        ("cp310-cp310-linux_x86_64", False),
        ("cp312-abi3-linux_x86_64", True),
        ("cp312-cp312-linux_x86_64", True),
        ("py3-none-any", True),
    ],
)
def test_modules_for_every_python_in_one_wheel(stack: Stack, tag: str, *, foreign: bool) -> None:
    path = stack.compile("many/_C.cpython-312-x86_64-linux-gnu.so", "int y;")
    stack.install("many", "1", path, tag=tag)

    assert ("foreign-python-wheel" in named(stack)) is foreign


def test_operators_for_newer_gpus_beside_those_for_this_one(stack: Stack) -> None:
    main = stack.compile("vllm/_C.abi3.so", fat_binary(80, 90))
    newer = stack.compile("vllm/_new_C.abi3.so", fat_binary(100, 120))
    stack.install("vllm", "0.24.0", main, newer)

    assert "extension-gpu-architecture" not in named(stack, HOPPER)


def test_a_package_for_newer_gpus_alone(stack: Stack) -> None:
    stack.install("vllm", "0.24.0", stack.compile("vllm/_C.abi3.so", fat_binary(100)))

    assert named(stack, HOPPER)["extension-gpu-architecture"] == "error"


def test_operators_for_older_gpus_alone(stack: Stack) -> None:
    main = stack.compile("vllm/_C.abi3.so", fat_binary(80, 90))
    older = stack.compile("vllm/vllm_flash_attn/_vllm_fa2_C.abi3.so", fat_binary(80))
    stack.install("vllm", "0.24.0", main, older)

    assert named(stack, HOPPER)["extension-gpu-architecture"] == "error"


def test_a_wheel_that_is_laid_over_another(stack: Stack) -> None:
    stack.environment.add("parts-base", "1.0", {"parts/x.py": b"base"})
    stack.environment.add("parts-cu13", "1.0", {"parts/x.py": b"cu13 over it"}, requires=("parts-base==1.0",))

    assert "file-claimed-twice" not in named(stack)

    stack.environment.add("stranger", "1.0", {"parts/x.py": b"a third"})
    assert named(stack)["file-claimed-twice"] == "warning"


def test_a_gpu_that_is_elsewhere_says_nothing_of_this_loader(stack: Stack) -> None:
    assert "libcuda-not-linked" not in named(stack, HOPPER)
