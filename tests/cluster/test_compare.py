from verl_env.cluster.compare import differences
from verl_env.cluster.model import Group


def group(*nodes, **aspects):
    return Group(nodes, str(aspects), aspects)


def told(*groups):
    return [(each.nodes, each.aspect, each.severity, each.have, each.others) for each in differences(groups)]


def test_equal_groups_do_not_differ():
    assert told(group("a", "b", driver="570")) == []


def test_the_odd_one_is_told_with_both_values():
    usual, odd = group("a", "b", driver="570", glibc="2.28"), group("c", driver="535", glibc="2.28")
    assert told(usual, odd) == [(("c",), "driver", "error", "535", "570")]


def test_of_a_mapping_only_what_differs_is_told():
    usual = group("a", "b", limits={"nofile": 8192, "nproc": 1}, mounts={"/home": "nfs"})
    odd = group("c", limits={"nofile": 512, "nproc": 1}, mounts={"/home": "missing"})
    assert told(usual, odd) == [
        (("c",), "mounts", "error", "/home missing", "/home nfs"),
        (("c",), "limits", "warning", "nofile 512", "nofile 8192"),
    ]


def test_nodes_with_the_same_difference_are_named_together():
    usual = group("a", "b", "c", driver="570", ray="2.47")
    first, second = group("d", driver="535", ray="2.47"), group("e", driver="535", ray="2.10")
    assert told(usual, first, second) == [
        (("d", "e"), "driver", "error", "535", "570"),
        (("e",), "ray", "error", "2.10", "2.47"),
    ]


def test_absent_and_unknown_are_told_apart():
    assert told(group("a", "b", driver="570"), group("c", driver=None)) == [(("c",), "driver", "error", "none", "570")]
    assert told(group("a", "b", driver="570"), group("c")) == [(("c",), "driver", "error", "unknown", "570")]
