"""Facts lead to findings, facts close to them do not, and what is not known never does."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.each import each
from verl_env.doctor.checks import CHECKS
from verl_env.doctor.facts import Facts, flavour_of_version
from verl_env.doctor.run import evaluate
from verl_env.machine.model import UNKNOWN, Amd, AmdDevice, Host, Machine, Nvidia, NvidiaDevice, Toolchain

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CASES: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "facts.toml").read_text(encoding="utf-8"))["case"]
BY_ID = {check.id: check for check in CHECKS}


def facts_from(case: dict[str, Any]) -> Facts:
    packages = dict(line.split(" ") for line in case.get("packages", []))
    devices = tuple(NvidiaDevice(i, compute_capability=value) for i, value in enumerate(case.get("gpu", [])))
    amd = tuple(AmdDevice(i, gfx=value) for i, value in enumerate(case.get("gfx", [])))
    complete = case.get("complete", False)
    return Facts(
        machine=Machine(
            host=Host(glibc=case.get("glibc", UNKNOWN), arch=case.get("arch", UNKNOWN)),
            nvidia=Nvidia(driver=case.get("driver", UNKNOWN), devices=devices)
            if devices or "driver" in case
            else UNKNOWN,
            amd=Amd(devices=amd) if amd else UNKNOWN,
            toolchain=Toolchain(nvcc=case["nvcc"]) if "nvcc" in case else UNKNOWN,
        ),
        python=case.get("python", UNKNOWN),
        packages=packages,
        packages_complete=complete,
        environment=dict(line.split("=", 1) for line in case.get("env", [])),
        environment_complete=complete,
        lockset=case.get("lockset"),
        locked=case.get("locked", {}),
        moved=case.get("moved", {}),
        torch_flavour=case.get("flavour") or flavour_of_version(packages.get("torch")),
    )


def _name(case: dict[str, Any]) -> str:
    return str(case["check"])


@each("case", CASES, _name)
def test_facts_are_found(case: dict[str, Any]) -> None:
    finding = evaluate(BY_ID[case["check"]], facts_from(case["hit"]))

    assert finding is not None
    assert finding.severity == case.get("severity", "error")
    assert finding.basis == "facts"
    assert finding.evidence
    assert all(finding.evidence)


@each("case", CASES, _name)
def test_facts_close_to_them_are_not(case: dict[str, Any]) -> None:
    assert evaluate(BY_ID[case["check"]], facts_from(case["miss"])) is None


@each("check", CHECKS, lambda check: check.id)
def test_nothing_is_concluded_from_nothing(check: Any) -> None:
    assert evaluate(check, Facts()) is None


@each("check", CHECKS, lambda check: check.id)
def test_packages_without_versions_are_no_evidence_of_versions(check: Any) -> None:
    names = ("torch", "vllm", "sglang", "verl", "ray", "click", "numpy", "transformers", "flash-attn", "xformers")
    facts = Facts(packages=dict.fromkeys(names))

    finding = evaluate(check, facts)

    assert finding is None or finding.severity != "error"
