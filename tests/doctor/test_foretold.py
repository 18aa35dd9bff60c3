"""Libraries of a process beside what the files foretell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.doctor.stack import MACHINE
from verl_env.doctor.engines.host import HostFacts
from verl_env.doctor.foretold import differences, foretold_check
from verl_env.doctor.gather import gather
from verl_env.doctor.run import evaluate
from verl_env.doctor.target import InspectedEnvironment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.doctor.stack import Stack


def test_a_process_that_does_what_the_files_say(stack: Stack) -> None:
    target = InspectedEnvironment(stack.environment.prefix, {})
    loaded = [library.elf.path for library in target.torch_process.loaded.values()]

    assert differences(target, [*loaded, "/usr/lib/libunrelated.so.1"]) == []


def test_a_library_from_elsewhere(stack: Stack, tmp_path: Path) -> None:
    target = InspectedEnvironment(stack.environment.prefix, {})
    other = str(tmp_path / "opt" / "libnccl.so.2")

    (line,) = differences(target, [other])

    assert line.startswith(f"libnccl.so.2: {other}, foretold: lib/")


def test_the_finding(stack: Stack, tmp_path: Path) -> None:
    facts = gather(stack.environment.prefix, {}, MACHINE, host=HostFacts())

    finding = evaluate(foretold_check(json.dumps([str(tmp_path / "libnccl.so.2")])), facts)

    assert finding is not None
    assert (finding.id, finding.severity) == ("libraries-not-foretold", "info")
    assert "failures:K2" in finding.references


@pytest.mark.parametrize("answer", ["", "Traceback", "3", "[]"])
def test_a_probe_that_said_nothing(stack: Stack, answer: str) -> None:
    facts = gather(stack.environment.prefix, {}, MACHINE, host=HostFacts())

    assert evaluate(foretold_check(answer), facts) is None
