"""``cluster doctor`` and ``cluster install`` on a real Ray cluster on this host.

``VERL_ENV_TEST_RAY`` names environments with Ray, one or more with colons between; ``VERL_ENV_TEST_RAY_NODES`` how many
nodes (4).
"""

import json
import os
import shutil
import subprocess
import sys
import threading
import time

import pytest

from tests.cluster.packs import small_pack
from tests.cluster.ray_lab import RayLab

ENVIRONMENTS = [name for name in os.environ.get("VERL_ENV_TEST_RAY", "").split(":") if name]
COUNT = int(os.environ.get("VERL_ENV_TEST_RAY_NODES", "4"))
pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not ENVIRONMENTS, reason="needs VERL_ENV_TEST_RAY")]
#: Stands for ``timeout``, which starts the task of each node: what one node is told to do by a file.
ODD = """#!/bin/sh
[ "$VERL_ENV_NODE" = r03 ] && case $(cat "$ODD" 2>/dev/null) in
    ulimit) ulimit -n 512;;
    hang) exec sleep 600;;
esac
exec "$REAL_TIMEOUT" "$@"
"""


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def lab(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    (folder / "timeout").write_text(ODD)
    (folder / "timeout").chmod(0o755)
    odd = {
        "PATH": f"{folder}:{os.environ['PATH']}", "REAL_TIMEOUT": shutil.which("timeout"), "ODD": str(folder / "what")
    }  # fmt: skip
    started = time.monotonic()
    with RayLab(request.param, COUNT, {f"r{number:02d}": odd for number in range(1, COUNT + 1)}) as made:
        made.what = folder / "what"
        print(f"{COUNT} nodes of {request.param}: started in {time.monotonic() - started:.1f} s")
        yield made
    assert not made._child.returncode


def cluster(lab, action, *args):
    started = time.monotonic()
    argv = [sys.executable, "-c", "from verl_env.cli.main import run; run()", "cluster", action, "--json"]
    argv += ["--ray", lab.address, "--into", str(lab.environment), *args]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=560, check=False)
    assert done.stdout, done.stderr
    print(f"{action} {' '.join(args)}: code {done.returncode}, {time.monotonic() - started:.1f} s")
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def odd(lab):
    def told(what):
        lab.what.write_text(what)

    yield told
    lab.what.unlink(missing_ok=True)


def test_equal_nodes_are_one_group(lab):
    code, said = cluster(lab, "doctor", "--nodes", str(COUNT), "--timeout", "300")
    assert (code, said["expected"], said["answered"]) == (0, lab.names, COUNT), said
    assert len(said["groups"]) == 1
    assert said["groups"][0]["aspects"]["ray"] in said["notes"][0]


def test_an_odd_node_is_named_with_what_differs(lab, odd):
    odd("ulimit")
    _, said = cluster(lab, "doctor", "--timeout", "300")
    assert [(each["nodes"], each["aspect"], each["have"]) for each in said["differences"]] == [
        (["r03"], "limits", "nofile 512")
    ]


def test_a_node_that_hangs_is_named_within_its_deadline(lab, odd):
    odd("hang")
    code, said = cluster(lab, "doctor", "--timeout", "40")
    assert (code, [each["node"] for each in said["missing"]]) == (1, ["r03"])
    assert said["answered"] == COUNT - 1


def test_more_nodes_than_there_are(lab):
    code, said = cluster(lab, "doctor", "--nodes", str(COUNT + 1))
    assert (code, said["error"]["id"]) == (1, "ray-too-small")


def test_a_pack_goes_to_every_node_through_the_object_store(lab, tmp_path):
    # All nodes are this host and have one disk: one of them puts it there, and the others find that it is at it.
    file = small_pack(tmp_path, size=80 << 20)
    _, said = cluster(lab, "install", str(file), "--to", str(tmp_path / "to/env"))
    assert said["installed"], said
    assert (tmp_path / "to/env/bin/demo").read_text() == "demo\n"
    code, said = cluster(lab, "install", str(file), "--to", str(tmp_path / "to/env"))
    assert (code, said["present"], said["way"]) == (0, lab.names, [])


def test_an_exchange_over_all_nodes(lab):
    if not any(lab.environment.glob("lib/python3*/site-packages/torch/__init__.py")):
        pytest.skip("the environment has no torch")
    code, said = cluster(lab, "doctor", "--deep", "--backend", "gloo")
    assert (code, said["deep"]["ok"], said["deep"]["nodes"]) == (0, True, lab.names), said["deep"]


def test_a_node_that_is_killed_while_it_is_asked_is_missing(lab, odd):
    """The last test: the cluster is one node smaller after it."""
    odd("hang")
    threading.Timer(20.0, lab.kill, ["r03"]).start()
    code, said = cluster(lab, "doctor", "--timeout", "300")
    assert (code, [each["node"] for each in said["missing"]]) == (1, ["r03"]), said["missing"]
    assert said["answered"] == COUNT - 1
    code, said = cluster(lab, "doctor", "--timeout", "300")
    (missing,) = said["missing"]
    # Which of the two, depends on whether the head has noticed by then.
    assert (code, missing["node"]) == (1, "r03")
    assert missing["reason"].startswith(("Ray has it as dead", "TaskUnschedulableError: "))
