"""``cluster doctor --deep`` with gloo over a real srun; for the variables see ``test_script``."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time

import pytest

from tests.cluster.e2e.test_script import ENVIRONMENT, TOOL, USER
from tests.cluster.lab import Lab, available

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not (available() and ENVIRONMENT), reason="needs root, Slurm, munge and VERL_ENV_TEST_SCRIPT"),
]
#: Stands for ``timeout``, which starts the task of each node: on one node the rank is stopped after its first exchange.
STOPS = """#!/bin/bash
[ "$SLURMD_NODENAME" = n03 ] && [ -n "$STOPS" ] || exec "$REAL_TIMEOUT" "$@"
exec 3< <(exec "$REAL_TIMEOUT" "$@")
task=$!
while read -r line <&3; do
    printf '%s\\n' "$line"
    case $line in *'"step": "paired"'*) kill -STOP "$(pgrep -P "$task")" ;; esac
done
"""


@pytest.fixture(scope="module")
def lab():
    with Lab(tempfile.mkdtemp(prefix="vl", dir="/tmp"), 4, port=19017) as made:
        wrapper = made.at / "odd/timeout"
        wrapper.parent.mkdir()
        wrapper.write_text(STOPS)
        wrapper.chmod(0o755)
        yield made


def deep(lab, *args, **variables):
    env = {**lab.env, "HOME": "/tmp", "PATH": f"{lab.at}/odd:{os.environ['PATH']}", **variables}
    env["REAL_TIMEOUT"] = shutil.which("timeout")
    argv = [TOOL, "cluster", "doctor", "--nodes", "4", "--into", ENVIRONMENT, "--deep", "--backend", "gloo", "--json"]
    started = time.monotonic()
    done = subprocess.run(
        [*argv, *args], env=env, cwd="/tmp", user=USER, capture_output=True, text=True, timeout=590, check=False
    )
    print(f"code {done.returncode}, {time.monotonic() - started:.1f} s: {done.stdout[-600:]}")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_all_nodes_have_the_right_sum(lab):
    code, said = deep(lab)
    assert (code, said["ok"], said["deep"]["ok"], said["deep"]["nodes"]) == (0, True, True, lab.names), said
    assert said["deep"]["figures"]["all_reduce_seconds"] > 0


def test_a_node_that_falls_silent_is_named_and_those_that_wait_are_not_blamed(lab):
    code, said = deep(lab, "--timeout", "150", STOPS="1")
    assert code == 1
    silent, waited = said["deep"]["errors"]
    # It may have said already whom it meets next.
    assert re.match(r"n03: it fell silent; n0\d|n03 and n0\d: no exchange|n0\d and n03: no exchange", silent)
    assert re.fullmatch(r"n\S+: waited for (it|them)", waited)
