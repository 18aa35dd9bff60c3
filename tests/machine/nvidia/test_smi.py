"""nvidia-smi as a witness: found, run in three forms, read whatever it returns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.machine.child import Abandoned, Children, Completed, NotStarted, TimedOut
from verl_env.machine.nvidia.smi import MESSAGES, ask_smi, parse_messages, read_smi
from verl_env.machine.roots import Roots

from .scenes import fixture, smi, smi_printing, write

if TYPE_CHECKING:
    from pathlib import Path

    from verl_env.machine.child import Outcome
    from verl_env.machine.nvidia.smi import SmiAnswer

ARGV = ("nvidia-smi",)


def ask(root: Path, path: str = "/usr/bin") -> SmiAnswer | None:
    with Children(deadline=time.monotonic() + 30) as children:
        return ask_smi(children, Roots(root), {"PATH": f"{path}:/bin"})


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("Failed to initialize NVML: Driver/library version mismatch\n", "mismatch", ""),
        ("No devices were found\n", "no-devices", ""),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure", "no-driver", ""),
        ("NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.", "no-library", ""),
        ("Failed to initialize NVML: Insufficient Permissions", "no-permission", ""),
        ("Failed to initialize NVML: Unknown Error\n", "failed", "Unknown Error"),
        ("failed to initialize nvml: GPU access blocked by the operating system", "failed", "GPU access blocked by"),
    ],
)
def test_messages(text: str, key: str, words: str) -> None:
    said, _, _ = parse_messages(text)
    assert said[key].startswith(words)
    assert key in MESSAGES


def test_a_mismatch_names_the_version_of_the_library() -> None:
    said, library, _ = parse_messages(
        "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.126"
    )
    assert "mismatch" in said
    assert library == "580.126"


def test_lost_gpus_are_named_by_their_place() -> None:
    _, _, lost = parse_messages(fixture("lost.txt"))
    assert [(gpu.address, gpu.lost) for gpu in lost] == [
        ("00000000:3b:00.0", "GPU is lost.  Reboot the system to recover this GPU"),
        ("00000000:5e:00.0", "Unknown Error"),
    ]


def test_healthy_output_says_none_of_the_messages() -> None:
    data = fixture("smi-v12-mig.xml") + fixture("query.csv") + fixture("list-mig.txt")
    assert parse_messages(data) == ({}, None, ())


def test_the_three_forms_are_read(tmp_path: Path) -> None:
    smi_printing(tmp_path, xml="smi-v12-mig.xml", csv="query.csv", listed="list-mig.txt")
    answer = ask(tmp_path)
    assert answer is not None
    assert [reading.devices is not None for reading in answer.readings] == [True, True, True]
    assert [reading.source for reading in answer.readings] == [
        "nvidia-smi --query-gpu",
        "nvidia-smi -q -x",
        "nvidia-smi -L",
    ]
    assert answer.hung is None


def test_output_counts_although_the_code_is_not_zero(tmp_path: Path) -> None:
    smi_printing(tmp_path, csv="query.csv", code=15)
    answer = ask(tmp_path)
    assert answer is not None
    assert answer.readings[0].devices is not None


def test_it_is_found_beside_the_path_too(tmp_path: Path) -> None:
    write(tmp_path, "usr/lib/wsl/lib/nvidia-smi", "#!/bin/sh\necho No devices were found\n")
    assert ask(tmp_path) is None
    (tmp_path / "usr/lib/wsl/lib/nvidia-smi").chmod(0o755)
    answer = ask(tmp_path)
    assert answer is not None
    assert answer.says("no-devices")


def test_without_it_there_is_no_answer(tmp_path: Path) -> None:
    assert ask(tmp_path) is None


def test_garbage_is_no_answer(tmp_path: Path) -> None:
    smi(tmp_path, "head -c 100000 /dev/urandom; exit 3")
    answer = ask(tmp_path)
    assert answer is not None
    assert all(reading.devices is None for reading in answer.readings)


def test_one_that_hangs_is_told_with_what_it_had_said() -> None:
    half = fixture("query.csv")
    outcomes: list[Outcome] = [
        Completed(ARGV, 0, b"", b"", 0.1),
        TimedOut(ARGV, half, b"", 4.5),
        Completed(ARGV, 0, b"", b"", 0.1),
    ]
    answer = read_smi(outcomes)
    assert (answer.hung, answer.killable) == (4.5, True)
    assert answer.readings[0].devices is not None


def test_one_that_cannot_be_killed_is_told() -> None:
    answer = read_smi([Abandoned(ARGV, 1, 4.5), TimedOut(ARGV, b"", b"", 4.6), NotStarted(ARGV, "no")])
    assert (answer.hung, answer.killable) == (4.6, False)


@given(
    st.binary()
    | st.builds(b"Unable to determine the device handle for GPU %b: %b".__mod__, st.tuples(st.binary(), st.binary()))
)
def test_no_output_breaks_the_reader(data: bytes) -> None:
    parse_messages(data)
    read_smi([Completed(ARGV, 0, data, data, 0.1)] * 3)
