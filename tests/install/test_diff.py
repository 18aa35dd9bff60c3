import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.environment.history import Change
from verl_env.install.diff import Item, Side, compare

URL = "https://example.org/x-1.0+cu12-py3-none-any.whl"


def side(*items, name="a", kind="lockset"):
    return Side(name, kind, "3.10", {item.name: item for item in items})


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (Item("x", "1"), "1"),
        (Item("x", "1", URL), f"1 (from {URL})"),
        (Item("x", "1", whole=False), "1 (incomplete)"),
        (Item("x", "1", "file:///s", remark="editable"), "1 (from file:///s, editable)"),
        (Item("x", "1", remark="native"), "1 (native)"),
    ],
)
def test_what_is_shown_of_a_package(item, text):
    assert item.text == text


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (Item("x", "1.0"), Item("x", "1.0"), True),
        (Item("x", "1.0"), Item("x", "1"), True),
        (Item("x", "1.0"), Item("x", "1.1"), False),
        (Item("x", "strange"), Item("x", "1.0"), False),
        (Item("x", "1.0"), Item("x", "1.0+cu12"), False),
        (Item("x", "1.0", local=True), Item("x", "1.0+cu12"), True),
        (Item("x", "1.0", local=True), Item("x", "1.1+cu12"), False),
        (Item("x", "1.0"), Item("x", "1.0", URL), False),
        (Item("x", "1.0", URL), Item("x", "1.0", URL.replace("+", "%2B")), True),
        (Item("x", "1.0", URL), Item("x", "1.0", anywhere=True), True),
        (Item("x", "1.0", anywhere=True), Item("x", "1.0", "file:///wheels/x.whl"), True),
        (Item("x", "1.0"), Item("x", "1.0", whole=False), False),
    ],
)
def test_whether_two_are_the_same_from_either_side(left, right, same):
    for one, other in ((left, right), (right, left)):
        found = compare(side(one), side(other))
        assert (found.same, len(found.changes)) == ((1, 0) if same else (0, 1))


def test_engines_come_first_then_torch_then_cuda_then_the_rest():
    left = side(Item("vllm", "1"), Item("torch", "2"), Item("nvidia-nccl-cu12", "2"), Item("zlib", "1"), Item("b", "1"))
    right = side(Item("vllm", "2"), Item("torch", "3"), Item("sglang", "1"), Item("a", "1"), Item("b", "1"))
    found = compare(left, right)
    assert list(found.groups.items()) == [
        ("engines", (Change("+", "sglang", None, "1"), Change("~", "vllm", "1", "2"))),
        ("torch", (Change("~", "torch", "2", "3"),)),
        ("cuda", (Change("-", "nvidia-nccl-cu12", "2", None),)),
        ("others", (Change("+", "a", None, "1"), Change("-", "zlib", "1", None))),
    ]
    assert found.same == 1
    assert [change.name for change in found.changes][:3] == ["sglang", "vllm", "torch"]


def test_a_native_component_counts_as_an_engine_whatever_its_name():
    found = compare(side(Item("numpy", "1", local=True)), side())
    assert list(found.groups) == ["engines"]


def test_groups_without_differences_are_left_out():
    assert compare(side(Item("torch", "1")), side(Item("torch", "1"))).groups == {}


names = st.dictionaries(st.sampled_from(["vllm", "torch", "nvidia-x", "b", "c"]), st.sampled_from(["1", "2", "3"]))


@given(names, names)
def test_applying_the_differences_to_the_first_gives_the_second(before, after):
    left = side(*(Item(name, version) for name, version in before.items()))
    right = side(*(Item(name, version) for name, version in after.items()))
    found = compare(left, right)
    result = dict(before)
    for change in found.changes:
        assert change.kind == ("~" if change.old and change.new else "+" if change.new else "-")
        assert result.pop(change.name, None) == change.old
        if change.new is not None:
            result[change.name] = change.new
    assert result == after
    assert found.same + len(found.changes) == len(before.keys() | after.keys())


@given(names, names)
def test_the_other_way_round_plus_is_minus(before, after):
    left = side(*(Item(name, version) for name, version in before.items()))
    right = side(*(Item(name, version) for name, version in after.items()))
    mirror = {"+": "-", "-": "+", "~": "~"}
    there, back = compare(left, right), compare(right, left)
    assert [(mirror[c.kind], c.name, c.new, c.old) for c in there.changes] == [
        (c.kind, c.name, c.old, c.new) for c in back.changes
    ]
