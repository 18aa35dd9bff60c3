"""``cluster doctor`` on a real Slurm of many nodes on this host, as an ordinary user."""

import json
import os
import re
import shutil
import site
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from tests.cluster.lab import Lab, available, kill_when
from verl_env.cluster.command import guarded
from verl_env.cluster.slurm import gather as by_slurm
from verl_env.cluster.slurm.allocation import NodeRequest, allocation

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not available(), reason="needs root, Slurm and munge")]
PROGRAM = ["-c", "from verl_env.cli.main import run; run()"]
#: Stands for ``timeout``, which starts the task of each node: one node is unlike the others, told by its name in Slurm.
ODD = """#!/bin/sh
[ "$SLURMD_NODENAME" = n03 ] && [ "$ODD" = hang ] && touch "$TOLD" && exec sleep 600
[ "$SLURMD_NODENAME" = n03 ] && [ "$ODD" = ulimit ] && ulimit -n 512
exec "$REAL_TIMEOUT" "$@"
"""
#: Stands for nvidia-smi: four GPUs on each node, another driver on n03, and a process of root on n02.
SMI = """#!/bin/sh
[ "$ODD" = driver ] || exit 9
driver=550.54.15
[ "$SLURMD_NODENAME" = n03 ] && driver=535.288.01
case "$*" in
*--query-gpu=*)
    echo "index, name, uuid, driver_version, compute_cap, pci.bus_id"
    for each in 0 1 2 3; do echo "$each, NVIDIA H100 80GB HBM3, GPU-$each, $driver, 9.0, 00000000:0$each:00.0"; done
    ;;
*--query-compute-apps=*) [ "$SLURMD_NODENAME" != n02 ] || echo "1, 40213, GPU-1" ;;
*) exit 6 ;;
esac
"""


@pytest.fixture(scope="module", params=[4, 64])
def lab(request):
    at = tempfile.mkdtemp(prefix="vl", dir="/tmp")
    with Lab(at, request.param) as made:
        made.python = everybodys_python(made.at / "tool")
        yield made


def everybodys_python(at):
    """The Python of a venv that has verl-env: the one of the tests may lie where nobody else can look.

    Variables such as PYTHONPATH do not serve: what runs on nodes is isolated from them.
    """
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", at], check=True)
    (packages,) = at.glob("lib/python3*/site-packages")
    (packages / "tests.pth").write_text("\n".join([str(Path.cwd()), *site.getsitepackages()]))
    return str(at / "bin/python")


@pytest.fixture
def odd(lab):
    """A folder for PATH whose ``timeout``, which starts the task of each node, makes one node unlike the others."""
    wrapper = lab.at / "odd/timeout"
    wrapper.parent.mkdir(exist_ok=True)
    wrapper.parent.chmod(0o777)
    for program, text in ((wrapper, ODD), (wrapper.with_name("nvidia-smi"), SMI)):
        program.write_text(text)
        program.chmod(0o755)
    told = wrapper.with_name("told")
    told.unlink(missing_ok=True)
    path = f"{wrapper.parent}:{os.environ['PATH']}"
    return {"PATH": path, "REAL_TIMEOUT": shutil.which("timeout"), "TOLD": str(told)}


def doctor(lab, *args, env=None):
    """The outcome of the command as an ordinary user."""
    started = time.monotonic()
    env = {**lab.env, "HOME": "/tmp", **(env or {})}
    argv = [lab.python, *PROGRAM, "cluster", "doctor", "--json", *args]
    done = subprocess.run(
        argv, env=env, capture_output=True, text=True, user="nobody", timeout=500, check=False, cwd=lab.at
    )
    print(f"{len(lab.names)} nodes, {' '.join(args)}: code {done.returncode}, {time.monotonic() - started:.1f} s")
    assert done.stdout, done.stderr
    return done, json.loads(done.stdout)


def all_of(lab):
    return ("--nodes", str(len(lab.names)))


def test_equal_nodes_are_one_group(lab):
    done, said = doctor(lab, *all_of(lab))
    assert (done.returncode, said["ok"], said["answered"]) == (0, True, len(lab.names))
    assert [group["folded"] for group in said["groups"]] == [f"n[01-{len(lab.names):02d}]"]
    assert not lab.call("squeue", "-h")


def test_an_odd_node_is_named_with_what_differs(lab, odd):
    done, said = doctor(lab, *all_of(lab), env={**odd, "ODD": "ulimit"})
    assert [group["nodes"] for group in said["groups"]][1:] == [["n03"]]
    assert [(each["nodes"], each["aspect"], each["have"]) for each in said["differences"]] == [
        (["n03"], "limits", "nofile 512")
    ]
    assert done.returncode == 0  # a warning


def test_another_driver_and_somebody_elses_process_on_a_gpu_are_errors(lab, odd):
    done, said = doctor(lab, *all_of(lab), env={**odd, "ODD": "driver"})
    assert done.returncode == 1
    assert [(each["nodes"], each["aspect"], each["have"], each["others"]) for each in said["differences"]] == [
        (["n03"], "driver", "535.288.01", "550.54.15")
    ]
    assert said["groups"][0]["aspects"]["gpus"] == ["4 x NVIDIA H100 80GB HBM3, 9.0"]
    assert [
        (each["node"], each["id"], each["evidence"]) for each in said["faults"] if each["id"] == "gpu-occupied"
    ] == [("n02", "gpu-occupied", ["process 1 of root holds 40213 MiB of GPU-1"])]


def test_a_node_that_hangs_is_named_within_its_deadline(lab, odd):
    started = time.monotonic()
    seconds = "40" if len(lab.names) > 4 else "10"
    done, said = doctor(lab, *all_of(lab), "--timeout", seconds, env={**odd, "ODD": "hang"})
    assert done.returncode == 1
    assert [each["node"] for each in said["missing"]] == ["n03"]
    assert said["answered"] == len(lab.names) - 1
    assert time.monotonic() - started < float(seconds) + 60


def test_more_nodes_than_there_are(lab):
    done, said = doctor(lab, "--nodes", str(len(lab.names) + 1), "--wait", "3")
    assert done.returncode == 1
    assert said["error"]["id"] == "allocation-refused"
    # 22.05 lets the request into its queue, 24.11 does not.
    assert re.search("PartitionNodeLimit|Requested node configuration is not", said["error"]["message"])
    assert not lab.call("squeue", "-h")


def test_a_name_that_does_not_exist(lab):
    more = len(lab.names) + 1
    done, said = doctor(lab, "--nodelist", f"n[01-{more:02d}]")
    assert done.returncode == 1
    assert said["missing"] == [{"node": f"n{more:02d}", "reason": "Slurm knows no such node"}]
    assert said["answered"] == len(lab.names)


def test_a_drained_node_is_named_with_the_admins_reason(lab):
    lab.call("scontrol", "update", "nodename=n02", "state=drain", "reason=bad fan")
    try:
        done, said = doctor(lab, "--nodelist", f"n[01-{len(lab.names):02d}]")
    finally:
        lab.call("scontrol", "update", "nodename=n02", "state=resume")
    assert done.returncode == 1
    assert [each["node"] for each in said["missing"]] == ["n02"]
    assert "bad fan" in said["missing"][0]["reason"]
    assert said["answered"] == len(lab.names) - 1


def test_a_node_that_dies_in_the_middle_is_missing(lab, odd):
    killer = threading.Thread(target=kill_when, args=(lab, "n03", Path(odd["TOLD"])))
    killer.start()
    try:
        done, said = doctor(lab, *all_of(lab), "--timeout", "90", env={**odd, "ODD": "hang"})
    finally:
        killer.join()
        lab.revive("n03")
    assert done.returncode == 1
    assert [each["node"] for each in said["missing"]] == ["n03"]


def gathered(lab, monkeypatch, script):
    monkeypatch.setenv("SLURM_CONF", lab.env["SLURM_CONF"])
    command = guarded([sys.executable, "-c", script], seconds=120)
    with allocation(NodeRequest(nodes=len(lab.names)), lab.env) as nodes:
        return by_slurm.gather(nodes, command, seconds=120).gathering


def test_answers_of_16_megabytes_come_whole(lab, monkeypatch):
    size = 16 << 20 if len(lab.names) <= 4 else 1 << 20
    script = (
        f"import os, random, sys; sys.path.insert(0, {str(Path.cwd())!r})\n"
        "from verl_env.cluster.answers import answer_lines\n"
        f"text = random.Random(1).randbytes({size} // 2).hex()\n"
        "sys.stdout.write(answer_lines({'schema': 1, 'node': os.environ['SLURMD_NODENAME'],"
        " 'aspects': {'size': len(text)}, 'findings': [], 'text': text}))"
    )
    heard = gathered(lab, monkeypatch, script)
    assert heard.complete
    assert [group.aspects for group in heard.groups()] == [{"size": size}]


def test_noise_around_answers_does_not_matter(lab, monkeypatch):
    script = (
        "import os, sys\n"
        "sys.stdout.write('module loaded\\n' * 50 + 'no line break')\n"
        f"import json; sys.path.insert(0, {str(Path.cwd())!r})\n"
        "from verl_env.cluster.answers import answer_lines\n"
        "sys.stdout.write(answer_lines({'schema': 1, 'node': os.environ['SLURMD_NODENAME'], 'aspects': {}}))\n"
        "sys.stdout.write('x' * 5000 + '\\n'); sys.stderr.write('warning\\n' * 20)\n"
    )
    heard = gathered(lab, monkeypatch, script)
    assert set(heard.answers) == set(lab.names)
