"""The search for a wheel of any torch, in the shipped catalogue."""

import pytest
from packaging.version import Version

from verl_env.choose.facts import facts_of
from verl_env.choose.find.errors import ComponentUnknownError, VersionNotKnownError
from verl_env.choose.find.search import search
from verl_env.choose.find.to_json import findings_json
from verl_env.choose.find.world import world_of
from verl_env.components.load import load_catalogue
from verl_env.errors import UsageError
from verl_env.machine.record import machine_from_json

CATALOGUE = load_catalogue()


def found(name="flash-attn", specifier="", gpus=("9.0",), glibc="2.35", arch="x86_64", tools=None, **world):
    devices = [{"compute_capability": gpu} for gpu in gpus]
    described = {"schema": 1, "host": {"arch": arch, "glibc": glibc}, "toolchain": tools or {"nvcc": None}}
    facts = facts_of(machine_from_json({**described, "nvidia": {"devices": devices} if gpus else None}))
    return search(name, specifier, world_of(CATALOGUE, **world), facts, CATALOGUE), facts


WORLDS = [
    {"torch": "2.8.0", "cuda": "12.8", "python": "3.10"},
    {"torch": "2.8.0+cu128", "python": "3.12", "glibc": "2.28"},
    {"torch": "2.6.0", "cuda": "12.4", "python": "3.11", "glibc": "2.28"},
    {"torch": "2.6.0", "cuda": "12.6", "python": "3.11"},
    {"torch": "2.11.0+cu130", "python": "3.12", "gpus": ("12.0",)},
    {"torch": "2.13.0+cu130", "python": "3.13"},
    {"torch": "2.9.1", "cuda": "12.8", "python": "3.12", "arch": "aarch64"},
    {"torch": "2.10.0", "cuda": "12.8", "python": "3.14", "gpus": ("8.0", "9.0")},
]


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_what_fits_is_for_everything_that_was_stated(world):
    findings, _ = found(**world)
    fitting = [each.wheel for each in findings.wheels if each.fits]
    assert fitting
    torch, _, local = world["torch"].partition("+")
    cuda = world.get("cuda") or f"{local[2:-1]}.{local[-1]}"
    minor = ".".join(torch.split(".")[:2])
    for wheel in fitting:
        assert minor in (wheel.torch, *wheel.torch_also)
        assert wheel.cuda == cuda.partition(".")[0]
        assert world["python"] in wheel.pythons
        assert wheel.arch == world.get("arch", "x86_64")
        assert not wheel.gpus or set(world.get("gpus", ("9.0",))) <= set(wheel.gpus)
        assert wheel.glibc is None or Version(wheel.glibc) <= Version(world.get("glibc", "2.35"))
        assert wheel.cxx11abi is not (minor == "2.6" and cuda == "12.4")
        assert wheel.address_confirmed


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_every_known_wheel_is_there_once_and_the_rest_says_why(world):
    findings, _ = found(**world)
    everything, _ = found(gpus=())
    files = [each.wheel.url for each in findings.wheels]
    assert sorted(files) == sorted(each.wheel.url for each in everything.wheels)
    assert len(files) == len(set(files)) > 700
    assert all(each.reasons for each in findings.wheels if each.fits is False)
    assert not any(each.reasons for each in findings.wheels if each.fits is not False)
    states = [{True: 0, None: 1, False: 2}[each.fits] for each in findings.wheels]
    assert states == sorted(states)


def test_newer_versions_come_first_and_the_project_before_others():
    findings, _ = found(torch="2.8.0", cuda="12.8", python="3.12")
    fitting = [each for each in findings.wheels if each.fits]
    versions = [Version(each.version) for each in fitting]
    assert versions == sorted(versions, reverse=True)
    assert fitting[0].wheel.publisher is None
    newest = [each.wheel for each in fitting if each.version == fitting[0].version]
    assert [wheel.publisher is None for wheel in newest] == sorted((w.publisher is None for w in newest), reverse=True)


def test_a_wheel_made_with_the_cuda_of_torch_comes_before_the_others():
    findings, _ = found(torch="2.8.0", cuda="12.8", python="3.10", glibc="2.28")
    assert next(each.wheel.toolkit for each in findings.wheels if each.fits) == "12.8"


def test_a_range_of_versions_counts():
    findings, _ = found(specifier=">=2.8.1,<2.8.3")
    assert {each.version for each in findings.wheels} == {"2.8.1", "2.8.2"}
    assert findings.indexes == ()
    with pytest.raises(VersionNotKnownError) as raised:
        found(specifier="==9.9")
    assert "2.8.3" in raised.value.message


@pytest.mark.parametrize("gpu", ["7.0", "7.5"])
def test_nothing_fits_a_gpu_that_its_sources_do_not_know(gpu):
    findings, _ = found(specifier="==2.8.3", torch="2.8.0", cuda="12.8", python="3.12", gpus=(gpu,))
    stated = [each for each in findings.wheels if each.wheel.gpus]
    assert not any(each.fits for each in stated)
    assert not any(each.fits for each in findings.builds)


@pytest.mark.parametrize("gpu", ["7.5", "12.0"])
def test_transformer_engine_of_the_wheelhouse_is_not_for_every_gpu(gpu):
    findings, _ = found("transformer-engine", "==2.16.1", torch="2.11.0+cu130", python="3.12", gpus=(gpu,))
    ours = [each for each in findings.wheels if "verl-wheelhouse" in each.wheel.url]
    assert ours
    assert all(each.fits is False and "GPU" in {reason.fact for reason in each.reasons} for each in ours)


def test_what_was_not_stated_is_named_and_rules_nothing_out():
    findings, _ = found(gpus=(), torch="2.8.0")
    best = findings.best
    assert best.fits
    assert "Python (--python)" in best.unstated
    assert "CUDA (--cuda)" in best.unstated


def test_a_build_that_would_work_is_the_best_where_no_wheel_fits():
    tools = {"nvcc": "12.8.93", "gcc": "12.2.0", "gxx": "12.2.0"}
    findings, facts = found(torch="2.3.0", cuda="12.1", python="3.12", tools=tools)
    assert not any(each.fits for each in findings.wheels)
    assert (findings.best.how, findings.best.version) == ("build", "2.8.3.post2")
    entry = findings_json(findings, facts)
    assert entry["best"]["how"] == "build"
    stated = {"torch": "2.3.0", "cuda": "12.1", "python": "3.12", "abi": "old", "arch": "x86_64", "glibc": "2.35"}
    assert entry["asked"] == {**stated, "gpus": ["9.0"]}
    assert found(torch="2.3.0", cuda="12.1", python="3.12")[0].best is None


def test_every_wheel_in_json_has_its_digest_source_and_date():
    findings, facts = found(torch="2.8.0", cuda="12.8", python="3.12")
    entry = findings_json(findings, facts)
    assert entry["schema"] == 1
    for wheel in entry["wheels"]:
        assert wheel["sha256"] == "hash-unrecorded" or len(wheel["sha256"]) == 64
        assert wheel["source"]
        assert wheel["date"] is None or len(wheel["date"]) >= 10
    assert any(wheel["date"] for wheel in entry["wheels"])
    (index,) = entry["indexes"]
    assert index["seen"] is True
    assert "'flash-attn==2.8.3.post1+cu.12.8.torch.2.8'" in index["command"]


def test_a_component_that_nobody_knows():
    with pytest.raises(ComponentUnknownError) as raised:
        found("flash_attm")
    assert raised.value.hint == "did you mean: verl-env find flash-attn"


@pytest.mark.parametrize(
    "world",
    [
        {"torch": "new"},
        {"torch": "2.8.0+cu128", "cuda": "13.0"},
        {"cuda": "twelve"},
        {"cuda": "12.8", "rocm": "6.3"},
        {"torch": "2.8.0+rocm6.3", "cuda": "12.8"},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_wrong_use(world):
    with pytest.raises(UsageError):
        world_of(CATALOGUE, **world)


@pytest.mark.parametrize(
    ("world", "abi"),
    [
        ({"torch": "2.6.0", "cuda": "12.4"}, "FALSE"),
        ({"torch": "2.6.0+cu126"}, "TRUE"),
        ({"torch": "2.8.0"}, "TRUE"),
        ({"torch": "2.5.1", "cuda": "cu124"}, "FALSE"),
        ({"torch": "2.5.1", "cuda": "12.4", "abi": "new"}, "TRUE"),
    ],
    ids=str,
)
def test_the_abi_of_a_torch_is_known_without_a_flag(world, abi):
    assert world_of(CATALOGUE, **world).abi == abi
