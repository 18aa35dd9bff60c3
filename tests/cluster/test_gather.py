import time

from verl_env.cluster.answers import MARK, answer_lines
from verl_env.cluster.compare import judge
from verl_env.cluster.gather import Gathering
from verl_env.cluster.launcher import Heard


def put(gathering, node, task=None, **document):
    data = {"schema": 1, "node": node, "aspects": {"driver": "570"}, "machine": {}, "findings": [], **document}
    for line in answer_lines(data).strip().splitlines():
        gathering.take(f"{task}: {line}".encode() if task is not None else line.encode())


def missing(gathering, **reasons):
    return {each.node: each.reason for each in gathering.missing(reasons, otherwise="no answer")}


def test_the_verdict_is_the_expected_nodes_minus_the_answers():
    gathering = Gathering(["n1", "n2", "n3"])
    put(gathering, "n1")
    put(gathering, "n3")
    assert not gathering.complete
    assert missing(gathering) == {"n2": "no answer"}
    verdict = judge(Heard(gathering, {}), otherwise="no answer")
    assert not verdict.ok
    assert [group.nodes for group in verdict.groups] == [("n1", "n3")]


def test_a_failure_is_an_end_but_no_answer():
    gathering = Gathering(["n1"])
    gathering.take(f'{MARK}{{"schema":1,"node":"n1","failed":"died","why":"its task ended with code 9"}}'.encode())
    assert gathering.complete
    assert missing(gathering) == {"n1": "its task ended with code 9"}


def test_an_answer_counts_more_than_a_failure_after_it():
    gathering = Gathering(["n1"])
    put(gathering, "n1")
    gathering.take(f'{MARK}{{"schema":1,"node":"n1","failed":"died"}}'.encode())
    assert missing(gathering) == {}


def test_the_first_answer_of_a_node_counts():
    gathering = Gathering(["n1"])
    put(gathering, "n1")
    put(gathering, "n1", aspects={"driver": "535"})
    assert gathering.groups()[0].aspects == {"driver": "570"}


def test_what_a_silent_node_said_is_told_by_the_number_of_its_task():
    gathering = Gathering(["n1", "n2"])
    gathering.take(b"1: python: cannot open shared object file")
    gathering.take(b"srun: error: Node failure on n1")
    assert missing(gathering)["n2"].endswith("cannot open shared object file")
    assert missing(gathering)["n1"].endswith("Node failure on n1")


def test_what_the_scheduler_knows_is_the_reason():
    assert missing(Gathering(["n1"]), n1="drained: bad fan") == {"n1": "drained: bad fan"}


def test_an_answer_that_broke_off_is_no_answer():
    gathering = Gathering(["n1"])
    line = answer_lines({"schema": 1, "node": "n1", "text": str(list(range(2000)))}).strip().splitlines()[0]
    gathering.take(line.encode())
    assert "broke off" in missing(gathering)["n1"]


def test_a_node_that_was_not_expected_is_told():
    gathering = Gathering(["n1"])
    put(gathering, "n1")
    put(gathering, "n9")
    verdict = judge(Heard(gathering, {}), otherwise="")
    assert verdict.ok
    assert verdict.notes == ("n9 answered and was not expected",)


def test_evidence_does_not_part_nodes_but_findings_do():
    gathering = Gathering(["n1", "n2", "n3"])
    finding = {"id": "cuda-home", "severity": "error", "title": "t"}
    put(gathering, "n1", findings=[{**finding, "evidence": ["1 GiB"]}])
    put(gathering, "n2", findings=[{**finding, "evidence": ["2 GiB"]}])
    put(gathering, "n3")
    verdict = judge(Heard(gathering, {}), otherwise="")
    assert [group.nodes for group in verdict.groups] == [("n1", "n2"), ("n3",)]
    assert [(each.aspect, each.have) for each in verdict.differences] == [("doctor: cuda-home", "not found")]


def test_an_error_that_all_nodes_have_is_still_an_error():
    gathering = Gathering(["n1"])
    put(gathering, "n1", findings=[{"id": "cuda-home", "severity": "error", "title": "t"}])
    assert not judge(Heard(gathering, {}), otherwise="").ok


def test_a_clock_is_off_only_where_it_shows_what_cannot_be():
    gathering = Gathering(["n1", "n2", "n3", "n4"], started=time.time() - 30)
    for node, off in (("n1", -29), ("n2", -90), ("n3", 60), ("n4", 0)):
        put(gathering, node, clock=time.time() + off)
    verdict = judge(Heard(gathering, {}), otherwise="")
    assert {node: [fault.title for fault in faults] for node, faults in verdict.faults.items()} == {
        "n2": ["Its clock is 60 s behind that of this host"],
        "n3": ["Its clock is 60 s ahead of that of this host"],
    }
    assert not verdict.ok


def test_documents_are_kept_once_for_all_nodes_that_gave_the_same():
    gathering = Gathering([f"n{number}" for number in range(50)])
    for node in gathering.expected:
        put(gathering, node)
    assert len(gathering._documents) == 1
    assert len(gathering.groups()[0].nodes) == 50


def test_no_answer_at_all_is_not_well():
    assert not judge(Heard(Gathering([]), {}), otherwise="").ok
