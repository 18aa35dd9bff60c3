"""What NCCL and gloo make of the interfaces that they are told to use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.doctor.checks import CHECKS
from verl_env.doctor.checks.system.network import gloo_missing, nccl_interfaces
from verl_env.doctor.engines.host import HostFacts
from verl_env.doctor.facts import Facts
from verl_env.doctor.run import evaluate
from verl_env.machine.model import Amd, AmdDevice, Machine, Nvidia, NvidiaDevice
from verl_env.records import replace

ABSENT = next(check for check in CHECKS if check.id == "network-interface-absent")
HERE = ("docker0", "eth0", "eth1", "lo")
GPU = Machine(nvidia=Nvidia(devices=(NvidiaDevice(0, compute_capability="9.0"),)))
FAMILY = "Last error:\nncclSocketInit: connecting to address  with family 59936 is neither AF_INET(2) nor AF_INET6(10)"


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ("eth", ("eth0", "eth1")),
        ("eth1", ("eth1",)),
        ("eth1:4000,lo", ("eth1", "lo")),
        ("=eth", ()),
        ("=eth0,lo", ("eth0", "lo")),
        ("^docker,lo", ("eth0", "eth1")),
        ("^=eth", HERE),
        ("^=eth0,eth1", ("docker0", "lo")),
        ("^docker,eth,lo", ()),
        ("ib,ens", ()),
        ("nothere0", ()),
        ("e", HERE),
        ("=,", HERE),
    ],
)
def test_the_syntax_of_nccl(value: str, left: tuple[str, ...]) -> None:
    assert nccl_interfaces(value, HERE) == left


@pytest.mark.parametrize(
    ("value", "missing"),
    [("eth0", ()), ("eth0,eth1", ()), ("eth", ("eth",)), ("eth0,ib0,", ("ib0",)), ("^lo", ("^lo",)), ("eth0:1", ())],
)
def test_gloo_takes_whole_names(value: str, missing: tuple[str, ...]) -> None:
    assert gloo_missing(value, HERE) == missing


names = st.lists(st.text(alphabet="abe0", min_size=1, max_size=4), min_size=1, unique=True)


@given(names, names)
def test_an_exclusion_leaves_what_its_list_does_not(here: list[str], listed: list[str]) -> None:
    for mark in ("", "="):
        value = f"{mark}{','.join(listed)},e0"
        assert set(nccl_interfaces(value, here)).isdisjoint(nccl_interfaces(f"^{value}", here))
        assert {*nccl_interfaces(value, here), *nccl_interfaces(f"^{value}", here)} == set(here)


def facts(machine: Machine = GPU, **variables: str) -> Facts:
    return Facts(host=HostFacts(all_interfaces=HERE, interfaces=("eth0",)), machine=machine, environment=variables)


def test_the_evidence_names_the_variable_and_what_is_here() -> None:
    finding = evaluate(ABSENT, facts(NCCL_SOCKET_IFNAME="ib0", GLOO_SOCKET_IFNAME="=eth0"))

    assert finding is not None
    assert finding.severity == "error"
    assert finding.evidence == (
        "NCCL_SOCKET_IFNAME=ib0 leaves no interface",
        "GLOO_SOCKET_IFNAME==eth0: there is no =eth0",
        "interfaces: docker0, eth0, eth1, lo",
    )
    assert "eth0" in finding.remedy.text


@pytest.mark.parametrize(
    ("machine", "severity"),
    [
        (GPU, "error"),
        (Machine(amd=Amd(devices=(AmdDevice(0, gfx="gfx942"),))), "error"),
        (Machine(), "warning"),
        (Machine(nvidia=None, amd=None), "warning"),
    ],
)
def test_without_a_gpu_the_variable_may_be_meant_for_other_nodes(machine: Machine, severity: str) -> None:
    finding = evaluate(ABSENT, facts(machine, NCCL_SOCKET_IFNAME="ib0"))

    assert finding is not None
    assert finding.severity == severity


def test_what_a_report_does_not_say_is_not_absent() -> None:
    told = facts(NCCL_SOCKET_IFNAME="ib0", GLOO_SOCKET_IFNAME="ib0")

    assert evaluate(ABSENT, replace(told, host=HostFacts())) is None
    assert evaluate(ABSENT, facts()) is None


def test_a_socket_without_an_address_counts_beside_the_facts_alone() -> None:
    told = facts(NCCL_SOCKET_IFNAME="ib0")

    both = evaluate(ABSENT, replace(told, log=FAMILY))
    assert both is not None
    assert both.basis == "both"
    assert evaluate(ABSENT, replace(facts(), log=FAMILY)) is None


def test_a_log_alone_has_a_remedy() -> None:
    finding = evaluate(ABSENT, Facts(log="NCCL WARN Bootstrap : no socket interface found"))

    assert finding is not None
    assert finding.remedy.commands[0] == "ip -brief address"
