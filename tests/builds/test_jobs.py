import pytest

from tests.builds.facts import job
from verl_env.builds.jobs import UNMEASURED_JOB, available_memory, job_count, job_memory
from verl_env.machine.roots import Roots

GB = 1 << 30


@pytest.mark.parametrize(
    ("cpus", "memory", "environ", "targets", "count"),
    [
        (32, 256 * GB, {}, 1, 28),
        (8, 256 * GB, {}, 1, 8),
        (32, 20 * GB, {}, 1, 2),
        (32, GB, {}, 1, 1),
        (32, None, {}, 1, 32),
        (32, 256 * GB, {"MAX_JOBS": "4"}, 1, 4),
        (2, 256 * GB, {"MAX_JOBS": "64"}, 1, 2),
        (8, 256 * GB, {"MAX_JOBS": "0"}, 1, 8),
        (8, 256 * GB, {"MAX_JOBS": "many"}, 1, 8),
        (32, 256 * GB, {"NVCC_THREADS": "4"}, 1, 28),
        (32, 256 * GB, {"NVCC_THREADS": "4"}, 2, 14),
        (32, 256 * GB, {"NVCC_THREADS": "2"}, 4, 14),
    ],
)
def test_the_scarcest_thing_decides(cpus, memory, environ, targets, count):
    recipe = job(job_bytes=9 * GB).recipe
    assert job_count(recipe, cpus=cpus, memory=memory, environ=environ, targets=targets) == count


def test_a_recipe_may_ask_for_threads_and_need_not_state_its_memory():
    recipe = job(env={"NVCC_THREADS": "2"}).recipe
    assert job_memory(recipe, {}, 3) == 2 * UNMEASURED_JOB
    assert job_memory(recipe, {"NVCC_THREADS": "1"}, 3) == UNMEASURED_JOB


def group(tmp_path, *, available_kb=32 << 20, limit="max", used=0, inactive=0):
    files = {
        "proc/meminfo": f"MemTotal: 99999999 kB\nMemAvailable:   {available_kb} kB\n",
        "proc/self/cgroup": "0::/job\n",
        "proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        "sys/fs/cgroup/job/memory.max": f"{limit}\n",
        "sys/fs/cgroup/job/memory.current": f"{used}\n",
        "sys/fs/cgroup/job/memory.stat": f"anon 1\ninactive_file {inactive}\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return Roots(str(tmp_path))


@pytest.mark.parametrize(
    ("facts", "free"),
    [
        ({}, 32 * GB),
        ({"limit": 16 * GB}, 16 * GB),
        ({"limit": 16 * GB, "used": 10 * GB}, 6 * GB),
        ({"limit": 16 * GB, "used": 10 * GB, "inactive": 4 * GB}, 10 * GB),
        ({"limit": 16 * GB, "used": 20 * GB}, 0),
        ({"limit": 64 * GB, "used": 10 * GB}, 32 * GB),
    ],
)
def test_memory_is_what_the_host_and_the_control_group_have_left(tmp_path, facts, free):
    assert available_memory(group(tmp_path, **facts)) == free


def test_memory_of_a_host_that_says_nothing_is_not_known(tmp_path):
    assert available_memory(Roots(str(tmp_path))) is None
