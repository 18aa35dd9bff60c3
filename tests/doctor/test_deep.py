"""Trials run in children of an interpreter, and what they print names the cause."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from verl_env.doctor import deep
from verl_env.doctor.checks import CHECKS
from verl_env.doctor.engines.host import HostFacts
from verl_env.doctor.facts import Facts
from verl_env.doctor.gather import gather
from verl_env.machine.model import Machine, Nvidia, NvidiaDevice
from verl_env.records import replace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.doctor.conftest import Environment


@pytest.fixture
def facts(environment: Environment) -> Facts:
    """An environment whose interpreter is this one, looking into it through PYTHONPATH."""
    (environment.prefix / "bin" / "python").symlink_to(sys.executable)
    made = gather(environment.prefix, {}, Machine(), host=HostFacts())
    return replace(made, environment={"PYTHONPATH": str(environment.site)})


def module(environment: Environment, name: str, text: str) -> None:
    (environment.site / f"{name}.py").write_text(text)


def test_an_import_that_works(facts: Facts, environment: Environment) -> None:
    module(environment, "fine_module", "x = 1")

    assert deep.try_import(facts, "fine_module").ok


def test_an_import_that_fails(facts: Facts, environment: Environment) -> None:
    module(environment, "bad_module", "raise ImportError('libGL.so.1: cannot open shared object file')")

    trial = deep.try_import(facts, "bad_module")

    assert not trial.ok
    assert trial.name == "import-bad-module"
    assert trial.said == (
        "ImportError: libGL.so.1: cannot open shared object file",
        "at bad_module.py:1",
        "exit code 1",
    )


def test_an_import_that_hangs(facts: Facts, environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    module(environment, "slow_module", "import time; time.sleep(60)")
    monkeypatch.setattr(deep, "IMPORT_DEADLINE", 0.3)

    trial = deep.try_import(facts, "slow_module")

    assert not trial.ok
    assert "deadline" in trial.said[0]


def test_a_child_that_a_signal_ends(facts: Facts, environment: Environment) -> None:
    module(environment, "dies", "import os; print('loading', flush=True); os.kill(os.getpid(), 11)")

    assert deep.try_import(facts, "dies").said == ("killed by SIGSEGV", "loading")


def test_what_is_printed_leads_to_the_cause(facts: Facts, environment: Environment) -> None:
    module(environment, "transformers", "raise ImportError('libGL.so.1: cannot open shared object file')")
    made = replace(facts, packages={"transformers": "4.51.3"})

    diagnosis = deep.diagnose_deep(made, CHECKS, with_gpu=False)

    assert [finding.id for finding in diagnosis.roots if finding.severity == "error"] == ["libgl-missing"]
    assert "import-transformers" in {finding.id for finding in diagnosis.findings}


def test_a_child_has_the_variables_of_the_user(facts: Facts, environment: Environment) -> None:
    module(environment, "asks", "import os; assert os.environ['NCCL_NVLS_ENABLE'] == '0'")
    made = replace(facts, environment={**facts.environment, "NCCL_NVLS_ENABLE": "0"})

    assert deep.try_import(made, "asks").ok
    assert not deep.try_import(facts, "asks").ok


def test_the_libraries_of_a_process_that_imports_torch(facts: Facts, environment: Environment) -> None:
    module(environment, "torch", "x = 1")

    assert any("libc.so" in path for path in json.loads(deep._libraries(replace(facts, packages={"torch": "2.6.0"}))))
    assert deep._libraries(facts) == ""


def test_edited_files_are_seen(facts: Facts, environment: Environment) -> None:
    environment.add("thing", "1", {"thing.py": b"abc"})
    (environment.site / "thing.py").write_bytes(b"abd")
    again = gather(environment.prefix, {}, Machine(), host=HostFacts())

    diagnosis = deep.diagnose_deep(again, (), with_gpu=False)

    assert [finding.id for finding in diagnosis.findings] == ["files-edited"]
    assert facts.target is not None


def test_an_interpreter_that_does_not_start(environment: Environment) -> None:
    made = gather(environment.prefix, {}, Machine(), host=HostFacts())

    assert not deep.try_import(made, "x").ok


def test_a_report_has_nothing_to_import() -> None:
    with pytest.raises(ValueError, match="report"):
        deep.diagnose_deep(Facts(), ())


def test_probes_without_a_gpu(tmp_path: Path, facts: Facts, environment: Environment) -> None:
    module(
        environment,
        "torch",
        "class cuda:\n    is_available = staticmethod(lambda: False)\n    device_count = staticmethod(lambda: 0)\n",
    )

    assert deep._matmul(facts).said[0] == 'it answered {"gpu": false}'
    assert deep._allreduce(facts).said[0] == 'it answered {"gpus": 0}'
    assert tmp_path.exists()


UNKNOWN_INTERFACE = """
class cuda:
    is_available = staticmethod(lambda: True)
    device_count = staticmethod(lambda: 1)


raise RuntimeError(
    "NCCL error in: NCCLUtils.cpp:94, invalid usage, NCCL version 2.28.9\\n"
    "ncclInvalidUsage: This usually reflects invalid usage of NCCL library.\\nLast error:\\n"
    "Bootstrap : no socket interface found"
)
"""


def test_an_interface_that_is_not_here_is_the_root_of_the_failed_sum(facts: Facts, environment: Environment) -> None:
    module(environment, "torch", UNKNOWN_INTERFACE)
    made = replace(
        facts,
        packages={"torch": "2.6.0"},
        machine=Machine(nvidia=Nvidia(devices=(NvidiaDevice(0, compute_capability="9.0"),))),
        host=HostFacts(all_interfaces=("eth0", "lo")),
        environment={**facts.environment, "NCCL_SOCKET_IFNAME": "nothere0"},
    )

    diagnosis = deep.diagnose_deep(made, [check for check in CHECKS if check.id == "network-interface-absent"])

    root = next(finding for finding in diagnosis.roots if finding.severity == "error")
    failed = next(finding for finding in diagnosis.findings if finding.id == "gpu-all-reduce")
    assert (root.id, root.basis) == ("network-interface-absent", "both")
    assert "gpu-all-reduce" in root.explains
    assert failed.evidence[2] == "Last error: Bootstrap: no socket interface found"
