"""Slurm's variables bound what a process may use, and only inside a job."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.machine.system.scheduler import slurm_cpus, slurm_memory

JOB = {"SLURM_JOB_ID": "4711"}
STEP = {**JOB, "SLURM_STEP_ID": "0"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"SLURM_CPUS_ON_NODE": "8"}, None),
        (JOB, None),
        ({**JOB, "SLURM_CPUS_ON_NODE": "64"}, (64, "SLURM_CPUS_ON_NODE")),
        ({**JOB, "SLURM_CPUS_PER_TASK": "8"}, (8, "SLURM_CPUS_PER_TASK")),
        ({**JOB, "SLURM_CPUS_ON_NODE": "64", "SLURM_CPUS_PER_TASK": "8"}, (64, "SLURM_CPUS_ON_NODE")),
        ({**STEP, "SLURM_CPUS_ON_NODE": "64", "SLURM_CPUS_PER_TASK": "8"}, (8, "SLURM_CPUS_PER_TASK")),
        ({**STEP, "SLURM_CPUS_ON_NODE": "64"}, (64, "SLURM_CPUS_ON_NODE")),
        ({"SLURM_JOBID": "1", "SLURM_CPUS_ON_NODE": "4"}, (4, "SLURM_CPUS_ON_NODE")),
        ({**JOB, "SLURM_CPUS_ON_NODE": "0"}, None),
        ({**JOB, "SLURM_CPUS_ON_NODE": "32(x2)"}, None),
        ({**JOB, "SLURM_CPUS_ON_NODE": "-4"}, None),
        ({**JOB, "SLURM_CPUS_ON_NODE": "९"}, None),
    ],
)
def test_cpus(environ: dict[str, str], expected: tuple[int, str] | None) -> None:
    assert slurm_cpus(environ) == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"SLURM_MEM_PER_NODE": "1024"}, None),
        (JOB, None),
        ({**JOB, "SLURM_MEM_PER_NODE": "1024"}, (1 << 30, "SLURM_MEM_PER_NODE")),
        ({**JOB, "SLURM_MEM_PER_NODE": "0"}, None),
        ({**JOB, "SLURM_MEM_PER_CPU": "2048"}, None),
        (
            {**JOB, "SLURM_MEM_PER_CPU": "2048", "SLURM_CPUS_ON_NODE": "3"},
            (6 << 30, "SLURM_MEM_PER_CPU * SLURM_CPUS_ON_NODE"),
        ),
        (
            {**JOB, "SLURM_MEM_PER_NODE": "512", "SLURM_MEM_PER_CPU": "2048", "SLURM_CPUS_ON_NODE": "3"},
            (512 << 20, "SLURM_MEM_PER_NODE"),
        ),
        ({**JOB, "SLURM_MEM_PER_NODE": "16G"}, None),
    ],
)
def test_memory(environ: dict[str, str], expected: tuple[int, str] | None) -> None:
    assert slurm_memory(environ) == expected


@given(
    st.dictionaries(
        st.sampled_from(
            ["SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE", "SLURM_MEM_PER_NODE"]
        ),
        st.text(),
    )
)
def test_any_value_is_a_positive_bound_or_none(environ: dict[str, str]) -> None:
    for bound in (slurm_cpus(environ), slurm_memory(environ)):
        assert bound is None or bound[0] > 0
