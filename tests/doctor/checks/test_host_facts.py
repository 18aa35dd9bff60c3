"""Checks that look at the node: limits, mounts, device nodes, processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from verl_env.doctor.checks import CHECKS
from verl_env.doctor.engines.host import Directory, HostFacts
from verl_env.doctor.facts import Facts
from verl_env.doctor.run import evaluate
from verl_env.machine.model import UNKNOWN, Host, Machine, Nvidia, NvidiaDevice
from verl_env.records import replace

if TYPE_CHECKING:
    from verl_env.doctor.model import Finding

BY_ID = {check.id: check for check in CHECKS}
GIB = 1 << 30
PLACE = Directory(
    "/p",
    None,
    exists=True,
    writable=True,
    file_system="ext4",
    noexec=False,
    device=1,
    free_bytes=100 * GIB,
    free_files=9,
)
GPU = Machine(nvidia=Nvidia(devices=(NvidiaDevice(0, compute_capability="9.0"),)))
GRACE = Machine(host=Host(arch="aarch64"), nvidia=Nvidia(devices=(NvidiaDevice(0, compute_capability="10.0"),)))


def find(name: str, host: HostFacts, machine: Machine = Machine(), **variables: str) -> Finding | None:  # noqa: B008
    packages = {"ray": "2.47.1", "flashinfer-python": "0.5.2"}
    facts = Facts(
        host=host,
        machine=machine,
        packages=packages,
        packages_complete=True,
        environment=variables,
        environment_complete=True,
    )
    return evaluate(BY_ID[name], facts)


def at(role: str, **changes: Any) -> HostFacts:
    return HostFacts(directories={role: replace(PLACE, **changes)})


CASES: list[tuple[str, HostFacts, HostFacts, Machine, dict[str, str]]] = [
    ("noexec-cache", at("triton-cache", noexec=True), at("triton-cache"), Machine(), {}),
    (
        "network-caches",
        at("triton-cache", file_system="lustre"),
        at("triton-cache"),
        Machine(),
        {"SLURM_JOB_NUM_NODES": "2"},
    ),
    (
        "network-caches",
        at("vllm-cache", file_system="nfs4"),
        at("hf-cache", file_system="nfs4"),
        Machine(),
        {"SLURM_NNODES": "4"},
    ),
    ("no-space", at("home", free_bytes=GIB // 2), at("home"), Machine(), {}),
    ("shared-memory-small", HostFacts(shm_bytes=64 << 20), HostFacts(shm_bytes=8 * GIB), Machine(), {}),
    (
        "ray-worker-flood",
        HostFacts(cpus_online=64),
        HostFacts(cpus_online=4),
        Machine(),
        {"SLURM_JOB_ID": "1", "SLURM_CPUS_PER_TASK": "4"},
    ),
    ("ray-tmp-foreign", HostFacts(ray_dir_owner=5, uid=6), HostFacts(ray_dir_owner=6, uid=6), Machine(), {}),
    ("too-few-threads", HostFacts(nproc=4096), HostFacts(nproc=-1), Machine(), {}),
    ("too-few-files", HostFacts(nofile=1024, nofile_hard=4096), HostFacts(nofile=20000, nofile_hard=20000), GPU, {}),
    ("too-few-files", HostFacts(nofile=64, nofile_hard=64), HostFacts(nofile=1024, nofile_hard=524288), Machine(), {}),
    ("too-few-files", HostFacts(nofile=4096, nofile_hard=4096), HostFacts(nofile=1024, nofile_hard=-1), Machine(), {}),
    ("ray-uv-run", HostFacts(parents=("bash", "uv")), HostFacts(parents=("bash",)), Machine(), {}),
    ("offline-node", HostFacts(default_route=False), HostFacts(default_route=True), Machine(), {}),
    (
        "network-interface",
        HostFacts(interfaces=("eth0", "ib0")),
        HostFacts(interfaces=("ib0",)),
        Machine(),
        {"SLURM_JOB_NUM_NODES": "2"},
    ),
    (
        "network-interface-absent",
        HostFacts(all_interfaces=("eth0", "lo")),
        HostFacts(all_interfaces=("ib0", "lo")),
        GPU,
        {"NCCL_SOCKET_IFNAME": "ib"},
    ),
    (
        "network-interface-absent",
        HostFacts(all_interfaces=("eth0", "lo")),
        HostFacts(all_interfaces=("eth0", "ib0")),
        GPU,
        {"GLOO_SOCKET_IFNAME": "eth0,ib0"},
    ),
    ("out-of-host-memory", HostFacts(cgroup_memory=4 * GIB), HostFacts(cgroup_memory=64 * GIB), Machine(), {}),
    ("out-of-host-memory", HostFacts(memlock=65536), HostFacts(memlock=-1), GPU, {}),
    ("c-compiler-missing", HostFacts(tools={"gcc": None}), HostFacts(tools={"gcc": "/usr/bin/gcc"}), Machine(), {}),
    ("fabric-manager", HostFacts(nvswitch=True, processes={}), HostFacts(nvswitch=False, processes={}), Machine(), {}),
    (
        "nvls-without-imex",
        HostFacts(nodes=frozenset()),
        HostFacts(nodes=frozenset({"/dev/nvidia-caps-imex-channels/channel0"})),
        GRACE,
        {},
    ),
    (
        "kfd-access",
        HostFacts(nodes=frozenset({"/dev/kfd"}), denied=frozenset({"/dev/kfd"})),
        HostFacts(nodes=frozenset({"/dev/kfd"}), denied=frozenset()),
        Machine(),
        {},
    ),
]


@pytest.mark.parametrize(("name", "hit", "miss", "machine", "variables"), CASES, ids=[case[0] for case in CASES])
def test_hosts(name: str, hit: HostFacts, miss: HostFacts, machine: Machine, variables: dict[str, str]) -> None:
    finding = find(name, hit, machine, **variables)

    assert finding is not None
    assert finding.evidence
    assert find(name, miss, machine, **variables) is None
    assert find(name, HostFacts(), machine, **variables) is None


def test_a_login_node_without_a_gpu_is_information() -> None:
    nothing = find("no-gpu-here", HostFacts(), Machine(nvidia=None, amd=None))

    assert nothing is not None
    assert nothing.severity == "info"
    assert find("no-gpu-here", HostFacts(), Machine(nvidia=UNKNOWN, amd=None)) is None
    assert find("no-gpu-here", HostFacts(), GPU) is None
