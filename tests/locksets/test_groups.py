import pytest

from verl_env.locksets.catalogue import load_catalogue
from verl_env.locksets.groups import ENGINES, GROUPS, group_of


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("vllm", "engines"),
        ("sgl-kernel", "engines"),
        ("flash-attn", "engines"),
        ("torch", "torch"),
        ("torchvision", "torch"),
        ("triton", "torch"),
        ("pytorch-triton-rocm", "torch"),
        ("nvidia-cudnn-cu12", "cuda"),
        ("cuda-bindings", "cuda"),
        ("cupy-cuda12x", "cuda"),
        ("numpy", "others"),
        ("pytorch-lightning", "others"),
        ("tritonclient", "others"),
    ],
)
def test_the_group_of_a_package(name, group):
    assert group_of(name) == group


def test_a_caller_may_count_more_as_engines():
    assert group_of("numpy", ENGINES | {"numpy"}) == "engines"


def test_groups_are_shown_with_the_engines_first():
    assert GROUPS == ("engines", "torch", "cuda", "others")


@pytest.mark.parametrize("lockset", load_catalogue(), ids=lambda lockset: lockset.id)
def test_every_shipped_engine_and_the_names_of_kernels_are_known(lockset):
    assert all(group_of(engine) == "engines" for engine in lockset.engines)
    assert ENGINES.isdisjoint({"torch", "triton"})
