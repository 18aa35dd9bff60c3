"""``cluster script`` for real: Ray, and torchrun, on a real Slurm of three nodes of this host.

``VERL_ENV_TEST_SCRIPT`` names an environment with Ray and torch. ``VERL_ENV_TEST_USER`` is an ordinary user for whom
the jobs run (root where it is not set), and ``VERL_ENV_TEST_TOOL`` a verl-env that this user can start.
"""

import contextlib
import json
import os
import pty
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.cluster.lab import Lab, available

ENVIRONMENT = os.environ.get("VERL_ENV_TEST_SCRIPT", "")
USER = os.environ.get("VERL_ENV_TEST_USER", "root")
TOOL = os.environ.get("VERL_ENV_TEST_TOOL", str(Path(sys.executable).with_name("verl-env")))
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not (available() and ENVIRONMENT), reason="needs root, Slurm, munge and VERL_ENV_TEST_SCRIPT"),
]
#: Runs a task on each node of Ray, writes what it saw, and leaves with the code that it is told.
ON_RAY = """
import json, os, sys, ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On
ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False)
@ray.remote(num_cpus=0)
def name():
    return ray.get_runtime_context().get_node_id()
nodes = {node["NodeID"]: node["NodeName"] for node in ray.nodes() if node["Alive"]}
seen = ray.get([name.options(scheduling_strategy=On(node, soft=False)).remote() for node in nodes])
open(sys.argv[1], "w").write(json.dumps(sorted(nodes[node] for node in seen)))
if sys.argv[2] == "stay":
    import time; time.sleep(600)
os._exit(int(sys.argv[2]))
"""
#: Sums over all ranks with gloo; the last one leaves with a code if told to.
ON_TORCHRUN = """
import json, os, sys, torch, torch.distributed as dist
dist.init_process_group("gloo")
value = torch.ones(1)
dist.all_reduce(value)
rank, world = dist.get_rank(), dist.get_world_size()
if rank == 0:
    open(sys.argv[1], "w").write(json.dumps([int(value.item()), world]))
dist.barrier()
os._exit(int(sys.argv[2]) if rank == world - 1 else 0)
"""


@pytest.fixture(scope="module")
def lab():
    with Lab(tempfile.mkdtemp(prefix="vl", dir="/tmp"), 3, port=18917) as made:
        yield made


@pytest.fixture
def home(lab):
    """A folder of the user, from which jobs are started."""
    at = Path(tempfile.mkdtemp(prefix="job", dir="/tmp"))
    for name, text in (("on_ray.py", ON_RAY), ("on_torchrun.py", ON_TORCHRUN)):
        (at / name).write_text(text)
    at.chmod(0o755)
    os.chown(at, pwd.getpwnam(USER).pw_uid, -1)
    yield at
    lab.call("scancel", f"--user={USER}")
    for path in at.glob("logs-*/*"):
        if path.is_file():
            print(f"{path.name}: {path.read_text()[-1500:]}")
    shutil.rmtree(at, ignore_errors=True)


def run(lab, home, *argv):
    env = {**lab.env, "HOME": str(home)}
    return subprocess.run(argv, env=env, cwd=home, user=USER, capture_output=True, text=True, check=True, timeout=120)


def write(lab, home, *args):
    run(lab, home, TOOL, "cluster", "script", "--nodes", "3", "--into", ENVIRONMENT, "-o", "job.sh", *args)


def submit(lab, home):
    done = run(lab, home, "sbatch", "--parsable", "--open-mode=append", "--output=out-%j.txt", "job.sh")
    return done.stdout.strip()


def ended(lab, home, job, seconds=500):
    """The exit code of a job, its state, and what it said."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        text = lab.call("scontrol", "show", "job", job)
        state = re.search(r"JobState=(\w+)", text)[1]
        if state not in {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING"}:
            said = (home / f"out-{job}.txt").read_text()
            return int(re.search(r"ExitCode=(\d+):", text)[1]), state, said
        time.sleep(0.5)
    logs = "\n".join(path.read_text()[-1500:] for path in home.glob("logs-*/*"))
    pytest.fail(f"job {job} did not end: {(home / f'out-{job}.txt').read_text()}\n{logs}")


def await_file(path, seconds=400):
    until = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.3)
    assert path.exists()


RAY = ("--gpus-per-node", "0", "--cpus-per-task", "2")


def test_two_jobs_on_the_same_nodes_reach_all_of_their_own_and_keep_their_codes(lab, home):
    jobs = {}
    started = time.monotonic()
    for code in (7, 0):
        write(lab, home, *RAY, "--", "python", "on_ray.py", f"{home}/seen-{code}", str(code))
        jobs[code] = submit(lab, home)
    for code, job in jobs.items():
        have, _, said = ended(lab, home, job)
        print(f"job {job}: code {have} after {time.monotonic() - started:.0f} s")
        assert have == code, said
        assert "3 of 3 nodes answered, all alike: they would work together" in said
        assert json.loads((home / f"seen-{code}").read_text()) == lab.names
    assert not lab.call("squeue", "-h")


def test_a_worker_that_is_killed_ends_the_job_with_a_reason_within_a_minute(lab, home):
    write(lab, home, *RAY, "--no-preflight", "--", "python", "on_ray.py", f"{home}/seen", "stay")
    job = submit(lab, home)
    await_file(home / "seen")
    raylet = ["pgrep", "-f", "raylet.*--node-name=n03|raylet.*node_name=n03"]
    pids = subprocess.run(raylet, capture_output=True, text=True, check=False).stdout.split()
    assert pids
    killed = time.monotonic()
    for pid in pids:
        os.kill(int(pid), 9)
    code, _, said = ended(lab, home, job, 120)
    print(f"ended {time.monotonic() - killed:.1f} s after the kill")
    assert time.monotonic() - killed < 60
    assert code == 1
    assert "Ray on n03 ended with code" in said


def test_a_cancelled_job_leaves_no_ray_behind(lab, home):
    write(lab, home, *RAY, "--no-preflight", "--", "python", "on_ray.py", f"{home}/seen", "stay")
    job = submit(lab, home)
    await_file(home / "seen")
    lab.call("scancel", job)
    ended(lab, home, job, 120)
    until = time.monotonic() + 60
    left = ["pgrep", "-f", f"/tmp/r{job}-"]
    while subprocess.run(left, capture_output=True, check=False).returncode == 0 and time.monotonic() < until:
        time.sleep(0.5)
    assert subprocess.run(left, capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize("code", [0, 5])
def test_torchrun_on_every_node(lab, home, code):
    words = ("--for", "torchrun", "--gpus-per-node", "2", "--no-preflight")
    write(lab, home, *words, "--", "on_torchrun.py", f"{home}/seen", str(code))
    have, _, said = ended(lab, home, submit(lab, home))
    assert have == (1 if code else 0), said  # torchrun's own code, whatever that of its workers
    assert json.loads((home / "seen").read_text()) == [6, 6]
    assert ("torchrun on n0" in said) is bool(code)


def test_an_interactive_allocation_has_a_shell_on_the_head_node(lab, home):
    write(lab, home, *RAY, "--no-preflight", "--interactive")
    main, side = pty.openpty()
    env = {**lab.env, "HOME": str(home), "TERM": "dumb"}
    argv = ["setsid", "--ctty", "--wait", "salloc", "--nodes=3", "--cpus-per-task=2", "bash", "job.sh"]
    with subprocess.Popen(argv, env=env, cwd=home, user=USER, stdin=side, stdout=side, stderr=side) as process:
        os.close(side)
        said = until_said(main, "RAY_ADDRESS=")
        os.write(main, f"python on_ray.py {home}/seen 0; exit 9\n".encode())
        await_file(home / "seen")
        said += until_said(main, None)
        assert process.wait(120) == 9, said
    assert json.loads((home / "seen").read_text()) == lab.names
    until = time.monotonic() + 60
    while lab.call("squeue", "-h") and time.monotonic() < until:  # it may still be completing
        time.sleep(0.5)
    assert not lab.call("squeue", "-h")


def until_said(terminal, words, seconds=400):
    """What comes to a terminal until it has the words, or ends."""
    said, until = "", time.monotonic() + seconds
    with contextlib.suppress(OSError):  # the other side is closed
        while (words is None or words not in said) and time.monotonic() < until:
            said += os.read(terminal, 4096).decode(errors="replace")
    assert words is None or words in said, said
    return said
