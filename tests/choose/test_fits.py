import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.choose.build import ALL, CU130, DEEPEP, NGC, ROCM7, VLLM, gpu, lockset, native
from verl_env.choose.fits import CAPABILITIES, cuda_fit, gfx_fit, subjects, supported_gpus
from verl_env.machine.gpu_code import Fit


@pytest.mark.parametrize(
    ("need", "target", "fit"),
    [
        (gpu("x", ["8.0", "9.0"]), "8.0", Fit.NATIVE),
        (gpu("x", ["8.0", "9.0"]), "8.9", Fit.NATIVE),
        (gpu("x", ["8.6"]), "8.0", Fit.NONE),
        (gpu("x", ["8.0", "9.0"]), "7.5", Fit.NONE),
        (gpu("x", ["8.0", "9.0"]), "10.0", Fit.NONE),
        (gpu("x", ["8.0", "9.0"], ptx=True), "10.0", Fit.PTX),
        (gpu("x", ["8.0", "9.0"], ptx=True), "7.5", Fit.NONE),
        (gpu("x", ["8.6", "9.0"], ptx=True), "8.0", Fit.NONE),
        (gpu("x", ["9.0", "12.0"], ptx=True), "10.0", Fit.NONE),
        (gpu("x", ["8.0", "8.6"], ptx=True), "8.9", Fit.NATIVE),
        (gpu("x", ["10.0"]), "10.3", Fit.NATIVE),
        (gpu("x", ["9.0a"]), "9.0", Fit.NATIVE),
        (gpu("x", ["10.0a"]), "10.3", Fit.NONE),
        (gpu("x", ["10.0f"]), "10.3", Fit.NATIVE),
        (gpu("x", ["9.0a"], ptx=True), "10.0", Fit.NONE),
        (gpu("x", minimum="8.0"), "8.0", Fit.NATIVE),
        (gpu("x", minimum="8.0"), "12.1", Fit.NATIVE),
        (gpu("x", minimum="8.0"), "7.5", Fit.NONE),
        (gpu("x", ["7.5", "8.0"], minimum="8.0"), "7.5", Fit.NONE),
        (gpu("x"), "3.5", Fit.NATIVE),
        (gpu("x", ["10.0"]), "10.7", Fit.NONE),
        (gpu("x", ["10.0f", "10.3"]), "10.7", Fit.NONE),
        (gpu("x", ["10.7a"]), "10.7", Fit.NATIVE),
        (gpu("x", ["9.0"], ptx=True), "10.7", Fit.PTX),
        (gpu("x", minimum="9.0"), "10.7", Fit.NONE),
        (gpu("x"), "10.7", Fit.NONE),
        (gpu("x", ["odd"], ptx=True), "9.0", Fit.NONE),
        (gpu("x", ["9.0"]), "odd", Fit.NONE),
    ],
)
def test_cuda_fit(need, target, fit):
    assert cuda_fit(need, target) is fit


@pytest.mark.parametrize(
    ("need", "target", "fit"),
    [
        (gpu("x", ["gfx90a", "gfx942"]), "gfx942", Fit.NATIVE),
        (gpu("x", ["gfx90a", "gfx942"]), "gfx950", Fit.NONE),
        (gpu("x", minimum="gfx90a"), "gfx90a", Fit.NATIVE),
        (gpu("x", minimum="gfx90a"), "gfx942", Fit.NATIVE),
        (gpu("x", minimum="gfx90a"), "gfx908", Fit.NONE),
        (gpu("x", minimum="gfx90a"), "gfx1100", Fit.NONE),
        (gpu("x", minimum="gfx90a"), "odd", Fit.NONE),
        (gpu("x"), "gfx900", Fit.NATIVE),
    ],
)
def test_gfx_fit(need, target, fit):
    assert gfx_fit(need, target) is fit


def test_supported_gpus_are_those_that_every_component_has_code_for():
    assert supported_gpus(VLLM) == ("8.0", "8.6", "8.9", "9.0")
    assert supported_gpus(CU130) == ("8.0", "8.6", "8.9", "9.0", "10.0", "10.3", "12.0", "12.1")
    assert supported_gpus(ROCM7) == ("gfx942", "gfx950")
    assert supported_gpus(lockset(gpu=())) == ()


def test_an_optional_component_narrows_only_the_stacks_that_need_it():
    assert supported_gpus(DEEPEP) == ("8.0", "8.6", "8.9", "9.0")
    assert supported_gpus(DEEPEP, ("vllm",)) == ("8.0", "8.6", "8.9", "9.0")
    assert supported_gpus(DEEPEP, ("vllm", "deepep")) == ("9.0",)


def test_subjects_carry_versions():
    assert [subject.name for subject in subjects(NGC, ("vllm",))] == [
        "torch 2.6.0",
        "vllm 0.8.3",
        "flash-attn 2.7.4.post1",
    ]


def test_a_component_that_states_its_version_keeps_it():
    stated = lockset(gpu=(gpu("deepep 9", minimum="9.0"),), natives=(native("deepep", "1", ["deepep"]),))
    assert [subject.name for subject in subjects(stated, ("deepep",))] == ["deepep 9"]
    assert not list(subjects(stated, ("vllm",)))


targets = st.lists(st.sampled_from(CAPABILITIES), max_size=4, unique=True)


@given(targets, st.booleans(), st.sampled_from(CAPABILITIES))
def test_more_targets_never_fit_less(more, ptx, device):
    for kept in range(1, len(more)):
        fewer = cuda_fit(gpu("x", more[:kept]), device)
        assert cuda_fit(gpu("x", more, ptx=ptx), device).value >= fewer.value


@pytest.mark.parametrize("every", ALL, ids=lambda each: each.id)
def test_supported_gpus_are_in_order(every):
    found = supported_gpus(every)
    if every.accelerator == "cuda":
        assert list(found) == [capability for capability in CAPABILITIES if capability in found]
