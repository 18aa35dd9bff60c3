"""An environment whose runtime lost the line that starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

from verl_env.doctor.checks import CHECKS
from verl_env.doctor.engines.host import HostFacts
from verl_env.doctor.facts import Facts
from verl_env.doctor.gather import gather
from verl_env.doctor.run import evaluate
from verl_env.doctor.target import InspectedEnvironment
from verl_env.environment.binding import bind_at_start
from verl_env.environment.record import record_hash
from verl_env.machine.model import Machine
from verl_env.wheels.runtime import build

if TYPE_CHECKING:
    from pathlib import Path

ABSENT = next(check for check in CHECKS if check.id == "patches-absent")
DAMAGED = next(check for check in CHECKS if check.id == "hook-damaged")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "lib" / "python3.10" / "site-packages"
    folder.mkdir(parents=True)
    return folder


def facts(prefix: Path) -> Facts:
    packages = {"vllm": "0.8.2", "verl-env-runtime": "0.1.0"}
    return Facts(
        packages=packages, packages_complete=True, lockset="verl0.3/ngc", target=InspectedEnvironment(prefix, {})
    )


def test_the_line_is_missing(tmp_path: Path, site: Path) -> None:
    finding = evaluate(ABSENT, facts(tmp_path))
    assert finding is not None
    assert f"{site}/verl_env.pth is missing" in finding.evidence
    assert finding.remedy.commands[0] == f"verl-env patches apply --into {tmp_path}"


@pytest.mark.parametrize("carrier", ["verl_env.pth", "sitecustomize.py"])
def test_either_carrier_is_enough(tmp_path: Path, site: Path, carrier: str) -> None:
    (site / carrier).touch()
    assert evaluate(ABSENT, facts(tmp_path)) is None


@pytest.mark.parametrize(
    ("there", "severity"),
    [(b"import verl_env_runtime\n", None), (b"import other\n", "warning"), (b"\xff\xfe\x80", "error")],
)
def test_the_line_is_another(tmp_path: Path, site: Path, there: bytes, severity: str | None) -> None:
    record = site / "verl_env_runtime-0.1.0.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text(f"verl_env.pth,{record_hash(b'import verl_env_runtime' + bytes([10]))},24\n")
    (site / "verl_env.pth").write_bytes(there)

    finding = evaluate(DAMAGED, facts(tmp_path))

    assert (finding.severity if finding else None) == severity
    assert finding is None or "verl_env.pth is not as it was installed" in finding.evidence[0]


@pytest.mark.parametrize(
    ("name", "content", "severity"),
    [
        ("zz_verl_env_generation.pth", b"import _verl_env_generatio\xee\n", "error"),
        ("zz_verl_env_generation.pth", b"import _verl_env_generatiom\n", "warning"),
        ("_verl_env_generation.py", b"import os\ndef", "warning"),
        ("_verl_env_generation.py", b"import os  # of another release\n", None),
    ],
)
def test_what_binds_a_process_is_looked_at_too(
    tmp_path: Path, site: Path, name: str, content: bytes, severity: str | None
) -> None:
    bind_at_start(tmp_path)
    assert evaluate(DAMAGED, facts(tmp_path)) is None
    (site / name).write_bytes(content)
    finding = evaluate(DAMAGED, facts(tmp_path))
    assert (finding and finding.severity) == severity


@pytest.mark.parametrize("name", ["verl_env_runtime/hook.py", "_verl_env_boot.py"])
@pytest.mark.parametrize("content", [None, b"", b"import os\n"])
def test_a_damaged_file_of_the_runtime_comes_back_from_verl_env(
    tmp_path: Path, site: Path, name: str, content: bytes | None
) -> None:
    with ZipFile(build("verl0.3/ngc", tmp_path)) as wheel:
        wheel.extractall(site)
    assert evaluate(DAMAGED, facts(tmp_path)) is None
    (site / name).unlink() if content is None else (site / name).write_bytes(content)
    finding = evaluate(DAMAGED, facts(tmp_path))
    assert finding is not None
    assert finding.remedy.commands[0] == f"verl-env patches apply --into {tmp_path}"
    found = gather(tmp_path, {}, Machine(), host=HostFacts())
    assert all(evaluate(check, found) is None for check in CHECKS if check.id.startswith("files-"))
