import pytest

from tests.choose.build import VLLM, lockset
from verl_env.choose.words import component_name, sm
from verl_env.texts import counted, listed


@pytest.mark.parametrize(
    ("items", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a or b"), (iter("abc"), "a, b or c")]
)
def test_listed(items, text):
    assert listed(items, "or") == text


def test_counted():
    assert [counted(number, "GPU") for number in (0, 1, 2)] == ["0 GPUs", "1 GPU", "2 GPUs"]


@pytest.mark.parametrize(("capability", "name"), [("7.0", "sm_70"), ("10.3", "sm_103"), ("9.0a", "sm_90a")])
def test_sm(capability, name):
    assert sm(capability) == name


@pytest.mark.parametrize(
    ("component", "name"),
    [
        ("torch", "torch 2.6.0"),
        ("vllm", "vllm 0.8.5.post1"),
        ("transformer-engine", "transformer-engine 2.2.1"),
        ("vllm 0.9.9", "vllm 0.9.9"),
        ("cutlass", "cutlass"),
    ],
)
def test_component_name(component, name):
    assert component_name(VLLM, component) == name


def test_a_component_that_the_lockset_has_no_version_of():
    assert component_name(lockset(engines={}, natives=()), "vllm") == "vllm"
