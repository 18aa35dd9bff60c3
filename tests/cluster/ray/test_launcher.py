import os
import re
import socket
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.cluster.stand_in_ray import node, put_ray
from verl_env.cluster.command import guarded
from verl_env.cluster.errors import RayMissingError, RayTooSmallError, RayUnreachableError
from verl_env.cluster.launcher import Together
from verl_env.cluster.ray import launcher as module
from verl_env.cluster.ray.launcher import Ray

NODES = [node("r2"), node("r1"), node("r3")]
#: Answers as a node does, with what Ray's side of it handed over.
ANSWER = """
import os, sys
sys.path.insert(0, {root!r})
from verl_env.cluster.answers import answer_lines
names = ("RANK", "HEAD", "RAY")
aspects = {{name: os.environ["VERL_ENV_" + name] for name in names}}
aspects |= {{"read": len(sys.stdin.buffer.read()), "visible": os.environ.get("CUDA_VISIBLE_DEVICES")}}
print("a warning that begins a line", end="")
sys.stdout.write(answer_lines({{"schema": 1, "node": os.environ["VERL_ENV_NODE"], "aspects": aspects}}))
"""


@pytest.fixture
def ray(tmp_path, monkeypatch):
    return lambda nodes=NODES, **more: Ray("auto", put_ray(tmp_path, monkeypatch, nodes, **more))


@pytest.fixture
def hasty(ray, tmp_path, monkeypatch):
    """A cluster whose tasks have next to nothing beyond what a node has."""
    monkeypatch.setattr(module, "SLACK", 1)
    client = Path(module.__file__).with_name("client.py").read_text().replace("SLACK = 45.0", "SLACK = 1.0")
    (tmp_path / "client.py").write_text(client)
    monkeypatch.setattr(module.resources, "as_file", lambda _: nullcontext(tmp_path / "client.py"))
    return ray


def command(text=ANSWER, seconds=20):
    return guarded([sys.executable, "-c", text.format(root=str(Path.cwd()))], seconds=seconds)


def asked(nodes, **more):
    heard = nodes.ask(command(), seconds=20, **more)
    return heard, {group.nodes[0]: group.aspects for group in heard.gathering.groups()}


def test_every_node_has_its_own_task_and_knows_its_rank_and_the_first(ray):
    heard, aspects = asked(ray())
    assert list(heard.gathering.expected) == ["r1", "r2", "r3"]
    assert {name: each["RANK"] for name, each in aspects.items()} == {"r1": "0", "r2": "1", "r3": "2"}
    assert {each["HEAD"] for each in aspects.values()} == {"10.0.0.2"}
    assert {each["RAY"] for each in aspects.values()} == {"2.47.1"}
    assert heard.notes == ("the cluster runs Ray 2.47.1",)


@pytest.mark.parametrize(("set_by_ray", "seen"), [("", None), ("3", "3")])
def test_gpus_that_ray_hides_from_a_task_are_seen(ray, monkeypatch, set_by_ray, seen):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", set_by_ray)
    assert {each["visible"] for each in asked(ray())[1].values()} == {seen}


def test_a_dead_node_is_missing_unless_it_came_back(ray):
    heard, _ = asked(ray([*NODES, node("r4", alive=False), node("r1", alive=False, number=1)]))
    assert heard.gathering.expected == ("r1", "r2", "r3", "r4")
    missing = heard.gathering.missing(heard.reasons, otherwise="silent")
    assert [(each.node, each.reason) for each in missing] == [("r4", "Ray has it as dead")]


def test_a_node_that_dies_before_its_task_is_told_in_rays_words(ray):
    heard, _ = asked(ray(dies=["r3"]))
    (missing,) = heard.gathering.missing(heard.reasons, otherwise="silent")
    assert (missing.node, missing.reason) == ("r3", "TaskUnschedulableError: The node of the task is dead.")


def test_nodes_of_one_name_are_told_apart(ray):
    heard, _ = asked(ray([node("r1"), {**node("r1"), "NodeID": "abcdefghij"}]))
    assert heard.gathering.expected == ("r1-abcdefgh", "r1-r1-0")


@pytest.mark.parametrize(
    ("how", "why"),
    [("silent", "Ray started no worker on it within 5 s"), ("stuck", "Ray gave back nothing of its task within 2 s")],
)
def test_a_node_that_never_answers_is_named_with_what_it_did_not_do(hasty, monkeypatch, how, why):
    monkeypatch.setattr(module, "_CONNECT", 5)
    started = time.monotonic()
    heard = hasty(**{how: ["r2"]}).ask(command(seconds=1), seconds=1)
    missing = heard.gathering.missing(heard.reasons, otherwise="silent")
    assert [(each.node, each.reason) for each in missing] == [("r2", why)]
    assert time.monotonic() - started < 30


def test_what_a_node_has_counts_from_when_ray_started_on_it(hasty, monkeypatch):
    monkeypatch.setattr(module, "_SLOW", 2)
    heard = hasty(slow=6).ask(command("import time; time.sleep(1)\n" + ANSWER, seconds=4), seconds=4)
    assert heard.gathering.complete
    assert re.fullmatch(r"Ray took \d s to let its client in, and up to 6 s to start on a node", heard.notes[1])


def test_a_file_comes_whole_through_the_object_store(ray, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(os.urandom(70 << 20))
    heard, aspects = asked(ray(), file=file, names=["r3", "r1"])
    assert {name: each["read"] for name, each in aspects.items()} == {"r1": 70 << 20, "r3": 70 << 20}
    assert heard.gathering.expected == ("r3", "r1")


def test_a_node_that_left_meanwhile_is_missing(ray):
    heard, _ = asked(ray([node("r1"), node("r2", alive=False)]), names=["r1", "r2"])
    (missing,) = heard.gathering.missing(heard.reasons, otherwise="silent")
    assert (missing.node, missing.reason) == ("r2", "Ray has it as dead")


def test_lines_are_spread_with_the_rank_of_their_task(ray):
    lines = []
    command = guarded(["/bin/sh", "-c", "echo mine"], seconds=5)
    done = lambda: sum(b"mine" in line for line in lines) == 2  # noqa: E731
    ray().spread(Together(command, ["r2", "r1"], 5, lines.append, done))
    assert sorted(line for line in lines if b"mine" in line) == [b"0: mine", b"1: mine"]


def test_too_few_nodes_are_told_at_once_with_those_that_are_there(ray):
    cluster = ray()
    with pytest.raises(RayTooSmallError) as refused:
        Ray("auto", cluster.environment, nodes=4).ask(command(), seconds=20)
    assert refused.value.message == "4 nodes were asked for, and Ray has 3: r1, r2, r3"


def test_the_words_of_a_client_that_reaches_nothing_are_kept_in_one_line(ray):
    with pytest.raises(RayUnreachableError) as refused:
        asked(ray(unreached="Version mismatch: The cluster was started with:\n    Ray: 2.9\n    Python: 3.10"))
    assert "Version mismatch: The cluster was started with: Ray: 2.9 Python: 3.10" in refused.value.message


def test_a_port_where_nobody_listens_is_told_at_once(ray):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(RayUnreachableError, match="refused"):
            Ray(address, ray().environment).ask(command(), seconds=20)
    assert time.monotonic() - started < 15


def test_a_client_that_hangs_is_left_at_its_deadline(ray, monkeypatch):
    cluster = ray()
    (cluster.environment / "bin/python").write_text("#!/bin/sh\nexec sleep 600\n")
    monkeypatch.setattr(module, "_CONNECT", 2)
    with pytest.raises(RayUnreachableError, match="no answer within 2 s"):
        cluster.ask(command(), seconds=1)


def test_an_environment_without_ray(tmp_path):
    with pytest.raises(RayMissingError):
        Ray("auto", tmp_path).ask(command(), seconds=20)


def test_an_answer_of_some_megabytes_comes_whole(ray):
    text = ANSWER.replace("aspects |= ", "aspects = {{'text': os.urandom(4 << 20).hex()}}; rest = ")
    heard = ray().ask(command(text, seconds=60), seconds=60)
    assert [len(group.aspects["text"]) for group in heard.gathering.groups()] == [8 << 20] * 3
