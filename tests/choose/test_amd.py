"""Machines with AMD GPUs: each gets a lockset that fits it, or a refusal that leaves no lockset out."""

import re

import pytest

from tests.machine.amd.kfd_trees import NODES, FakeGpu, FakeHost, igpu
from tests.machine.trees import CAPTURES, plant
from verl_env.choose.choose import choose, evaluate
from verl_env.choose.model import Choice, Request
from verl_env.components.load import load_catalogue as load_components
from verl_env.locksets.catalogue import load_catalogue, packages_of
from verl_env.machine.amd.probe import probe_amd
from verl_env.machine.record import machine_from_json
from verl_env.plans.plan import make_plan
from verl_env.records import replace

LOCKSETS = load_catalogue()
REFUSED = None

#: gfx target, ROCm, glibc: the lockset, or that there is none.
MACHINES = [
    ("gfx906", "5.7", "2.28", REFUSED),
    ("gfx908", "6.0.2", "2.31", REFUSED),
    ("gfx908", "6.3.3", "2.35", REFUSED),
    ("gfx90a", "6.3.0", "2.28", "rocm/rocm6"),
    ("gfx90a", "6.2.4", "2.35", REFUSED),
    ("gfx90a", "7.0.0", "2.35", "rocm/rocm7"),
    ("gfx90a", "7.2.1", "2.34", REFUSED),
    ("gfx942", "6.3.4", "2.31", "rocm/rocm6"),
    ("gfx942", "7.0.2", "2.35", "rocm/rocm702"),
    ("gfx942", "7.2.3", "2.39", "rocm/vllm0.26"),
    ("gfx950", "7.14.0", "2.39", "rocm/rocm714"),
    ("gfx950", "10.0.0", "2.39", "rocm/rocm10"),
]
#: What no lockset has code for, or no wheel at all: graphics cards, and graphics within a processor.
GRAPHICS = ["gfx1030", "gfx1100", "gfx1201", "gfx1036", "gfx1151"]


def machine(*gfx, rocm="7.2.1", glibc="2.39", driver=None):
    devices = [{"index": index, "gfx": each} for index, each in enumerate(gfx)]
    host = {"arch": "x86_64", "glibc": glibc, "os": "linux"}
    amd = {"rocm": rocm, "devices": devices, **({"driver": driver} if driver else {})}
    return machine_from_json({"schema": 1, "host": host, "nvidia": None, "amd": amd})


def complete(refusal, gfx):
    """Whether every lockset is there with a reason, and those for AMD name this GPU, ROCm or glibc."""
    assert {each.lockset.id for each in refusal.evaluations} == {lockset.id for lockset in LOCKSETS}
    for evaluation in refusal.evaluations:
        failed = [verdict for verdict in evaluation.verdicts if verdict.outcome == "failed"]
        assert failed, f"{evaluation.lockset.id} is refused without a reason"
        if evaluation.lockset.accelerator == "rocm":
            assert {verdict.requirement for verdict in failed} & {"gfx", "rocm", "glibc", "stack"}
        else:
            assert "accelerator" in {verdict.requirement for verdict in failed}


@pytest.mark.parametrize(("gfx", "rocm", "glibc", "wanted"), MACHINES)
def test_twelve_machines(gfx, rocm, glibc, wanted):
    described = machine(gfx, rocm=rocm, glibc=glibc)
    found = choose(LOCKSETS, described, Request(("vllm",)))
    if wanted is REFUSED:
        complete(found, gfx)
    else:
        assert isinstance(found, Choice)
        assert found.lockset.id == wanted
        assert found.lockset.tier == "planned", "no AMD GPU has run one"
        plan = make_plan(found, packages_of(found.lockset, found.python), Request(("vllm",)), described)
        assert {"packages", "wheels", "check", "switch"} <= {step.kind for step in plan.steps}


@pytest.mark.parametrize("gfx", GRAPHICS)
@pytest.mark.parametrize("rocm", ["6.3.4", "7.2.1", "10.0.0"])
def test_graphics_get_a_complete_refusal(gfx, rocm):
    found = choose(LOCKSETS, machine(gfx, rocm=rocm), Request(("vllm",)))
    complete(found, gfx)
    said = {verdict.message for each in found.evaluations for verdict in each.verdicts if verdict.requirement == "gfx"}
    assert any(gfx in message for message in said)


@pytest.mark.parametrize(
    ("driver", "rocm", "outcome", "said"),
    [
        ("6.16.13", "7.2.1", "met", "series 30.30"),
        ("30.30.3", "7.2.1", "met", "series 30.30"),
        ("6.19.14.31400000", "10.0.0", "met", "series 31.40"),
        ("31.50.0", "10.0.0", "met", "series 31.50"),
        ("6.12.12", "7.2.1", "met", "series 6.4"),
        ("6.10.5", "7.2.1", "warned", "6.1, 6.2, 6.3, 6.4 and 7.0, and not with 7.2.3"),
        ("6.3.6", "6.3.4", "warned", "series 6.0"),
        ("6.3.4", "6.3.4", "unknown", "not known which ROCm amdgpu 6.3.4 is for"),
        ("in-tree", "7.2.1", None, ""),
        (None, "7.2.1", None, ""),
    ],
)
def test_the_kernel_driver_warns_and_never_refuses(driver, rocm, outcome, said):
    described = machine("gfx942", rocm=rocm, driver=driver)
    found = choose(LOCKSETS, described, Request(("vllm",)))
    assert isinstance(found, Choice)
    looked = evaluate(found.lockset, described, Request(("vllm",)))
    verdicts = [each for each in looked.verdicts if each.requirement == "amdgpu"]
    assert [each.outcome for each in verdicts] == ([outcome] if outcome else [])
    assert all(said in each.message for each in verdicts)
    assert (said in " ".join(found.warnings)) is (outcome in {"warned", "unknown"} or not said)


def test_graphics_beside_a_card_do_not_decide():
    found = choose(LOCKSETS, machine("gfx942", "gfx1036", rocm="7.2.1"), Request(("vllm",)))
    assert isinstance(found, Choice)
    assert found.lockset.id == "rocm/vllm0.26"


@pytest.mark.parametrize("stack", [("vllm",), ("vllm", "megatron"), ("sglang",)])
@pytest.mark.parametrize("rocm", ["6.3.4", "7.14.0", "10.0.0"])
def test_other_stacks(stack, rocm):
    found = choose(LOCKSETS, machine("gfx942", rocm=rocm), Request(stack))
    assert isinstance(found, Choice)
    assert set(stack) <= set(found.lockset.provides)


@pytest.mark.parametrize("gfx", ["gfx90a", "gfx942"])
def test_the_flags_of_the_image_are_those_of_the_build(gfx):
    wanted = Request(("vllm",), lockset="verl0.3-rocm6.3/Apptainerfile.rocm")
    found = choose(LOCKSETS, machine(gfx, rocm="6.3.0"), wanted, components=load_components())
    assert isinstance(found, Choice)
    (vllm,) = [each for each in found.builds if each.name == "vllm"]
    flags = {"HIPCC_COMPILE_FLAGS_APPEND", "CFLAGS", "CXXFLAGS"}
    assert (vllm.how, vllm.env.keys()) == ("build", flags), "no PYTORCH_ROCM_ARCH: that is of the machine"


@pytest.mark.parametrize("lockset", [each for each in LOCKSETS if each.accelerator == "rocm"], ids=lambda each: each.id)
def test_a_lock_for_amd_brings_nothing_of_cuda(lockset):
    for lock in lockset.pythons:
        packages = {package.name: package for package in packages_of(lockset, lock.python)}
        assert not [
            name for name in packages if name.startswith(("nvidia-cu", "nvidia-nccl", "cupy-cuda", "flashinfer"))
        ]
        assert packages["torch"].url is not None
        assert not ({"triton", "pytorch-triton-rocm"} <= packages.keys()), "both hold the module triton"
        assert packages.get("triton", packages["torch"]).url is not None


CAPTURED = [
    ("mi210-8gpu", "gfx90a", "7.0.0", "rocm/rocm7"),
    ("mi300x-cpx", "gfx942", "7.2.3", "rocm/vllm0.26"),
    ("mi308x-cpx", "gfx942", "7.0.2", "rocm/rocm702"),
]


def on_a_tree(files, root, rocm):
    """What a machine gets whose kernel shows such a tree: what the probe finds there, and the chooser."""
    amd = probe_amd(plant(root, files), {}).amd
    assert amd.rocm == rocm
    found = machine_from_json({"schema": 1, "host": {"arch": "x86_64", "glibc": "2.39"}, "nvidia": None})
    return choose(LOCKSETS, replace(found, amd=amd), Request(("vllm",)))


@pytest.mark.parametrize(("name", "gfx", "rocm", "wanted"), CAPTURED)
def test_a_captured_tree_of_the_kernel_gives_a_lockset(tmp_path, name, gfx, rocm, wanted):
    place = CAPTURES / "kfd" / name
    if not place.is_dir():
        pytest.skip("no captures beside this checkout")
    nodes = {
        f"{NODES}/{file.relative_to(place / 'nodes')}": file.read_bytes()
        for file in place.rglob("nodes/*/**/*")
        if file.is_file()
    }
    more = {"/dev/kfd": "", "/sys/module/amdgpu/": "", "/opt/rocm/.info/version": f"{rocm}-1\n"}
    minors = re.findall(rb"drm_render_minor (\d+)", b"".join(nodes.values()))
    more |= {f"/dev/dri/renderD{int(minor)}": "" for minor in minors if int(minor)}
    found = on_a_tree({**nodes, **more}, tmp_path, rocm)
    assert isinstance(found, Choice)
    assert found.lockset.id == wanted


@pytest.mark.parametrize(
    ("version", "device", "rocm", "wanted"),
    [
        (90010, 0x740F, "7.0.0", "rocm/rocm7"),
        (90402, 0x74A1, "6.3.0", "rocm/rocm6"),
        (90500, 0x75A0, "10.0.0", "rocm/rocm10"),
    ],
)
def test_a_tree_of_the_kernel_gives_a_lockset(tmp_path, version, device, rocm, wanted):
    gpus = tuple(FakeGpu(version, device, f"0000:{5 + 16 * number:02x}:00.0", 128 + number) for number in range(8))
    found = on_a_tree(FakeHost((*gpus, igpu()), rocm=f"{rocm}-1").files, tmp_path, rocm)
    assert isinstance(found, Choice)
    assert found.lockset.id == wanted


def test_a_tree_with_graphics_alone_gives_a_refusal(tmp_path):
    found = on_a_tree(FakeHost((igpu(),), rocm="7.2.1-1").files, tmp_path, "7.2.1")
    complete(found, "gfx1036")
