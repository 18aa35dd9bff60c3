"""Reports as people paste them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.doctor.errors import ReportUnreadableError
from verl_env.doctor.ingest.clean import clean
from verl_env.doctor.ingest.packages import read_packages
from verl_env.doctor.ingest.report import facts_of, read_report
from verl_env.doctor.ingest.system import capability_of, read_system
from verl_env.doctor.ingest.variables import read_variables
from verl_env.machine.model import UNKNOWN

if TYPE_CHECKING:
    from pathlib import Path

PIP_LIST = """
(verl) someone@node:~$ pip list
Package                           Version       Editable project location
--------------------------------- ------------- -------------------------
click                             8.2.1
flash_attn                        2.7.4.post1
torch                             2.6.0+cu124
verl                              0.5.0.dev0    /data/verl
(verl) someone@node:~$ echo done
"""
CONDA_LIST = """
# packages in environment at /opt/conda/envs/x:
#
# Name                    Version                   Build  Channel
_libgcc_mutex             0.1                        main
numpy                     2.1.3                    pypi_0    pypi
python                    3.11.9               h955ad1f_0
torch                     2.4.0                    <pip>
"""
FREEZE = """
accelerate==1.2.1
flash-attn @ https://host.example/flash_attn-2.7.4.post1%2Bcu12torch2.6cxx11abiFALSE-cp310-cp310-linux_x86_64.whl
-e git+https://host.example/verl@abc#egg=verl
torch==2.6.0
"""
COLLECT = """
Collecting environment information...
OS                           : Rocky Linux 8.10 (Green Obsidian) (x86_64)
PyTorch version              : 2.7.1+cu126
CUDA used to build PyTorch   : 12.6
ROCM used to build PyTorch   : N/A
Python version: 3.12.3 (main) (64-bit runtime)
CUDA runtime version: 12.4.131
GPU models and configuration:
GPU 0: NVIDIA A100-SXM4-80GB
GPU 1: NVIDIA A100-SXM4-80GB
Nvidia driver version: 535.129.03
[pip3] numpy==1.26.4
[conda] triton                    3.3.1                    pypi_0    pypi
vLLM Version                 : 0.9.2
vLLM Build Flags:
LD_LIBRARY_PATH=/usr/local/cuda/lib64
NCCL_CUMEM_ENABLE=1
"""
SMI = """
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 570.86.10              Driver Version: 570.86.10      CUDA Version: 12.8     |
|=========================================+========================+======================|
|   0  NVIDIA H100 80GB HBM3          On  |   00000000:18:00.0 Off |                    0 |
| N/A   31C    P0             70W /  700W |       1MiB /  81559MiB |      0%      Default |
|   1  NVIDIA H100 80GB HBM3          On  |   00000000:2A:00.0 Off |                    0 |
"""


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (PIP_LIST, {"click": "8.2.1", "flash-attn": "2.7.4.post1", "torch": "2.6.0+cu124", "verl": "0.5.0.dev0"}),
        (CONDA_LIST, {"numpy": "2.1.3", "python": "3.11.9", "torch": "2.4.0"}),
        (FREEZE, {"accelerate": "1.2.1", "flash-attn": "2.7.4.post1+cu12torch2.6cxx11abiFALSE", "verl": None}),
        (COLLECT, {"numpy": "1.26.4", "triton": "3.3.1", "vllm": "0.9.2", "torch": "2.7.1+cu126"}),
        ("Name: vllm\nVersion: 0.21.0\nSummary: x\n", {"vllm": "0.21.0"}),
        (" + torch==2.7.0\n - torch==2.6.0\n ~ numpy==1.26.4\n", {"torch": "2.7.0", "numpy": "1.26.4"}),
        (
            "Successfully installed flash-attn-2.8.3 torch-2.8.0 typing-extensions-4.12.2",
            {"flash-attn": "2.8.3", "torch": "2.8.0"},
        ),
        ("I use vLLM 0.8.5 with PyTorch: 2.6.0 and **flash-attn**: 2.7.3", {"vllm": "0.8.5", "torch": "2.6.0"}),
        ("ray==2.47.1  # pinned\n", {"ray": "2.47.1"}),
    ],
)
def test_packages(text: str, wanted: dict[str, str | None]) -> None:
    found = read_packages(clean(text)).versions

    assert {name: found.get(name, "none") for name in wanted} == wanted


@pytest.mark.parametrize(
    "text",
    [
        "it works with vllm 0.7.3 but not with vllm 0.8.5",
        "Collecting torch==2.6.0 (from vllm==0.8.5)",
        "step 1 loss 2.5\nstep 2 loss 2.4\nstep 3 loss 2.1\nstep 4 loss 2.0",
    ],
)
def test_what_is_no_statement_of_what_is_installed(text: str) -> None:
    assert not {"torch", "vllm"} & set(read_packages(clean(text)).versions)


def test_two_versions_in_one_list() -> None:
    text = "Package Version\n------- -------\nnumpy 1.26.4\nnumpy 2.1.0\ntorch 2.6.0\n"

    assert read_packages(text).duplicates == {"numpy": ("1.26.4", "2.1.0")}


def test_two_lists_are_before_and_after() -> None:
    text = "Package Version\n------- -------\nnumpy 1.26.4\n\nnow:\n\nPackage Version\n------- -------\nnumpy 2.1.0\n"

    found = read_packages(text)

    assert found.duplicates == {}
    assert found.versions["numpy"] == "2.1.0"


def test_a_local_version_is_not_lost() -> None:
    assert read_packages("torch==2.6.0+cu124\ntorch==2.6.0\n").versions["torch"] == "2.6.0+cu124"


def test_system_of_collect_env() -> None:
    found = read_system(clean(COLLECT))

    assert found.machine.nvidia
    assert found.machine.nvidia.driver == "535.129.03"
    assert [device.compute_capability for device in found.machine.nvidia.devices] == ["8.0", "8.0"]
    assert found.machine.host.glibc == "2.28"
    assert (found.python, found.torch_flavour) == ("3.12.3", "12.6")
    assert found.machine.toolchain
    assert found.machine.toolchain.nvcc == "12.4"


def test_system_of_nvidia_smi() -> None:
    found = read_system(clean(SMI)).machine.nvidia

    assert found
    assert (found.driver, found.cuda, len(found.devices)) == ("570.86.10", "12.8", 2)
    assert found.devices[0].compute_capability == "9.0"


def test_nothing_is_said_of_the_machine() -> None:
    found = read_system("hello")

    assert found.machine.nvidia is UNKNOWN
    assert found.machine.amd is UNKNOWN
    assert (found.python, found.torch_flavour) == (UNKNOWN, UNKNOWN)


@pytest.mark.parametrize(
    ("name", "wanted"), [("NVIDIA A100-SXM4-80GB", "8.0"), ("Tesla V100-SXM2-32GB", "7.0"), ("Voodoo 2", None)]
)
def test_capability_of_a_name(name: str, wanted: str | None) -> None:
    assert capability_of(name) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("export CUDA_HOME=/usr/local/cuda", {"CUDA_HOME": "/usr/local/cuda"}),
        (
            "$ NCCL_DEBUG=INFO CUDA_VISIBLE_DEVICES=0,1 python main.py a.b=c",
            {"NCCL_DEBUG": "INFO", "CUDA_VISIBLE_DEVICES": "0,1"},
        ),
        ("+ VLLM_ATTENTION_BACKEND=XFORMERS", {"VLLM_ATTENTION_BACKEND": "XFORMERS"}),
        ('os.environ["VLLM_USE_V1"] = "0"', {"VLLM_USE_V1": "0"}),
        ('export X_Y="a b"', {"X_Y": "a b"}),
        ("unset LD_PRELOAD", {"LD_PRELOAD": ""}),
        ("http_proxy=http://p:1", {"http_proxy": "http://p:1"}),
        ("lr=1e-6", {}),
        ("RANK=3", {}),
    ],
)
def test_variables(text: str, wanted: dict[str, str]) -> None:
    assert read_variables(text) == wanted


def test_variables_of_vllms_own_script_are_left_out() -> None:
    assert read_variables(clean(COLLECT)) == {"LD_LIBRARY_PATH": "/usr/local/cuda/lib64"}


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ("a\r\nb\r", "a\nb\n"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("> > quoted", "quoted"),
        ("```python\nx\n```", "x"),
        ("(WorkerDict pid=12, ip=10.0.0.1) Error", "Error"),
        ("[rank0]: Error", "Error"),
        ("<details><summary>x</summary>a &lt; b", "x\na < b"),
        ("\ufefftext", "text"),
    ],
)
def test_clean(raw: str, wanted: str) -> None:
    assert clean(raw).strip() == wanted.strip()


def test_json() -> None:
    data = {
        "schema": 1,
        "machine": {"host": {"glibc": "2.28"}, "nvidia": {"driver": "550.54.15"}},
        "python": "3.10",
        "packages": {"Torch": "2.6.0+cu124", "flash_attn": None},
        "environment": {"A_B": "x", "C_D": None},
        "log": "GPU 0: Tesla V100-SXM2-32GB\nray==2.47.1\n",
    }

    facts = facts_of(json.dumps(data))

    assert facts.packages == {"torch": "2.6.0+cu124", "flash-attn": None, "ray": "2.47.1"}
    assert (facts.driver, facts.machine.host.glibc, facts.torch_flavour) == ("550.54.15", "2.28", "12.4")
    assert facts.variable("A_B") == "x"
    assert facts.unset("C_D")
    assert not facts.packages_complete


def test_devices_that_are_only_named() -> None:
    nvidia = {"cuda": "12.4", "devices": [{"name": "NVIDIA GeForce RTX 5090"}, {"name": "Voodoo"}]}
    amd = {"devices": [{"name": "AMD Instinct MI300X"}]}

    facts = facts_of(
        json.dumps({"schema": 1, "machine": {"nvidia": nvidia, "amd": amd}, "log": ["torch==2.11.0", "x"]})
    )

    assert facts.capabilities == ("12.0",)
    assert facts.gfx == ("gfx942",)
    assert facts.packages == {"torch": "2.11.0"}


def test_a_machine_that_is_not_stated_comes_from_the_log() -> None:
    facts = facts_of(json.dumps({"schema": 1, "machine": {"host": {"glibc": "2.28"}}, "log": COLLECT}))

    assert (facts.driver, facts.machine.host.glibc) == ("535.129.03", "2.28")


@pytest.mark.parametrize(
    "text",
    ["[1, 2]", '{"packages": []}', '{"machine": {"nvidia": 5}}', '{"machine": 5}', '{"environment": "x"}'],
)
def test_json_of_another_form(text: str) -> None:
    with pytest.raises(ReportUnreadableError) as caught:
        facts_of(text)

    assert caught.value.message
    assert caught.value.hint


def test_files(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "latin").write_bytes(b"torch==2.6.0\n\xff\xfe")

    assert read_report(tmp_path / "latin").packages == {"torch": "2.6.0"}
    for name in ("empty", "none"):
        with pytest.raises(ReportUnreadableError):
            read_report(tmp_path / name)


@given(st.text(max_size=500))
def test_no_text_crashes(text: str) -> None:
    try:
        facts = facts_of(text)
    except ReportUnreadableError:
        return
    assert not facts.packages_complete


SGLANG = """Python: 3.12.3 (main, Jun 19 2026, 12:46:00) [GCC 13.3.0]
CUDA available: True
GPU 0,1,2,3: NVIDIA B200
GPU 0,1,2,3 Compute Capability: 10.0
CUDA_HOME: /opt/cuda
NVCC: Cuda compilation tools, release 13.0, V13.0.88
CUDA Driver Version: 580.65.06
PyTorch: 2.11.0+cu130
sglang: 0.5.12
flashinfer: Module Not Found
numpy: 2.3.5
huggingface_hub: 1.2.0
zmq: 27.1.0
"""


def test_what_sglang_prints_of_its_environment() -> None:
    facts = facts_of(f"### Environment\n\n{SGLANG}\n### Reproduction\nsglang serve")

    assert facts.machine.nvidia
    assert [device.index for device in facts.machine.nvidia.devices] == [0, 1, 2, 3]
    assert facts.capabilities == ("10.0",)
    assert facts.driver == "580.65.06"
    assert facts.machine.toolchain
    assert (facts.machine.toolchain.nvcc, facts.machine.toolchain.cuda_home) == ("13.0", "/opt/cuda")
    assert facts.packages["torch"] == "2.11.0+cu130"
    assert facts.packages["pyzmq"] == "27.1.0"
    assert facts.packages["huggingface-hub"] == "1.2.0"
    assert not facts.installed("flashinfer-python")
    assert facts.cuda == "13.0"


def test_a_few_pairs_in_prose_are_no_list() -> None:
    assert "step" not in facts_of("step: 1.0\nloss: 2.0\nnothing else").packages
