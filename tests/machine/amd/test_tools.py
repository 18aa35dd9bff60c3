"""ROCm's tools are run side by side, without the variables that change their answers, and none of them can hang."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.machine.trees import fixture, plant, program
from verl_env.machine import child
from verl_env.machine.amd.environment import child_environment, override_variables, visible_variables
from verl_env.machine.amd.tools import ask_tools
from verl_env.machine.roots import Roots

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

ENVIRON = {"PATH": "/usr/bin"}


def later(seconds: float = 30) -> float:
    return time.monotonic() + seconds


def test_every_tool_that_is_there_is_asked(tmp_path: Path) -> None:
    program(tmp_path, "/usr/bin/amd-smi", fixture("amd/amd-smi-gpu-data.json"))
    program(tmp_path, "/opt/rocm/bin/rocminfo", fixture("amd/rocminfo.txt"))
    asked = ask_tools(Roots(tmp_path), ENVIRON, ["/opt/rocm/bin"], deadline=later())
    assert list(asked.readings) == ["amd-smi", "rocminfo"]
    assert [reading.gfx for reading in asked.readings["rocminfo"]] == ["gfx942", "gfx1036"]
    assert asked.problems == ()


def test_no_tool_is_no_answer_and_no_problem(tmp_path: Path) -> None:
    asked = ask_tools(plant(tmp_path, {}), {}, [], deadline=later())
    assert (asked.readings, asked.problems) == ({}, ())


def test_a_tool_that_ends_with_an_error_is_still_read(tmp_path: Path) -> None:
    program(tmp_path, "/usr/bin/rocm-smi", fixture("amd/rocm-smi-6.json"), code=2)
    asked = ask_tools(Roots(tmp_path), ENVIRON, [], deadline=later())
    assert len(asked.readings["rocm-smi"]) == 2


def test_a_failure_is_no_matter_where_another_answers(tmp_path: Path) -> None:
    program(tmp_path, "/usr/bin/amd-smi", stderr="AMDSMI_STATUS_NOT_INIT\nmore\n", code=34)
    alone = ask_tools(Roots(tmp_path), ENVIRON, [], deadline=later())
    assert [problem.id for problem in alone.problems] == ["amd-tool-failed"]
    assert alone.problems[0].message == "amd-smi gave no usable answer: AMDSMI_STATUS_NOT_INIT (exit code 34)"
    program(tmp_path, "/usr/bin/rocminfo", fixture("amd/rocminfo.txt"))
    assert ask_tools(Roots(tmp_path), ENVIRON, [], deadline=later()).problems == ()


def test_a_silent_tool_is_named(tmp_path: Path) -> None:
    program(tmp_path, "/usr/bin/rocminfo")
    asked = ask_tools(Roots(tmp_path), ENVIRON, [], deadline=later())
    assert asked.problems[0].message == "rocminfo gave no usable answer: no output (exit code 0)"


def test_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    program(tmp_path, "/usr/bin/rocminfo").write_bytes(b"\x7fELF nonsense")
    asked = ask_tools(Roots(tmp_path), ENVIRON, [], deadline=later())
    assert [problem.id for problem in asked.problems] == ["amd-tool-failed"]


def test_a_hanging_tool_is_ended_and_named_beside_one_that_answers(tmp_path: Path) -> None:
    program(tmp_path, "/usr/bin/amd-smi", '{"gpu_data": [', script="exec sleep 60")
    program(tmp_path, "/usr/bin/rocminfo", fixture("amd/rocminfo.txt"))
    asked = ask_tools(Roots(tmp_path), ENVIRON, [], deadline=later(1))
    assert list(asked.readings) == ["rocminfo"]
    assert [problem.id for problem in asked.problems] == ["amd-tool-timeout"]


def test_the_part_that_a_killed_tool_printed_does_not_count(tmp_path: Path) -> None:
    program(tmp_path, "/usr/bin/rocminfo", fixture("amd/rocminfo.txt"), script="exec sleep 60")
    asked = ask_tools(Roots(tmp_path), ENVIRON, [], deadline=later(0.3))
    assert asked.readings == {}


def test_an_abandoned_tool_means_a_wedged_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "/usr/bin/amd-smi")

    def abandon(argvs: list[tuple[str, ...]], **_: object) -> tuple[child.Abandoned, ...]:
        return tuple(child.Abandoned(argv, 4711, 2.5) for argv in argvs)

    monkeypatch.setattr(child, "run_all", abandon)
    (problem,) = ask_tools(Roots(tmp_path), ENVIRON, [], deadline=later()).problems
    assert problem.id == "driver-wedged"
    assert "amd-smi (process 4711)" in problem.message


def test_a_tool_that_vanishes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "/usr/bin/amd-smi")
    monkeypatch.setattr(child, "run_all", lambda argvs, **_: tuple(child.NotFound(argv) for argv in argvs))
    assert [p.id for p in ask_tools(Roots(tmp_path), ENVIRON, [], deadline=later()).problems] == ["amd-tool-failed"]


def test_the_tools_see_none_of_the_variables(tmp_path: Path) -> None:
    program(tmp_path, "/usr/bin/rocminfo", script='echo "  Name:  gfx942"; env >&2; env > "$0.env"')
    environ = {
        **ENVIRON,
        "HSA_OVERRIDE_GFX_VERSION": "11.0.0",
        "HIP_VISIBLE_DEVICES": "1",
        "KEPT": "yes",
        "LC_ALL": "de",
    }
    ask_tools(Roots(tmp_path), environ, [], deadline=later())
    seen = (tmp_path / "usr/bin/rocminfo.env").read_text().splitlines()
    assert {"KEPT=yes", "LC_ALL=C"} <= set(seen)
    assert not [line for line in seen if line.startswith(("HSA_", "HIP_"))]


def test_variables_are_told_apart() -> None:
    environ = {
        "ROCR_VISIBLE_DEVICES": "0",
        "CUDA_VISIBLE_DEVICES": "",
        "HSA_OVERRIDE_GFX_VERSION_1": "9.4.2",
        "HSA_ENABLE_SDMA": "0",
    }
    assert visible_variables(environ) == {"ROCR_VISIBLE_DEVICES": "0", "CUDA_VISIBLE_DEVICES": ""}
    assert override_variables(environ) == {"HSA_OVERRIDE_GFX_VERSION_1": "9.4.2"}
    assert child_environment(environ) == {"HSA_ENABLE_SDMA": "0", "LC_ALL": "C"}
