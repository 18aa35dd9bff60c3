"""The whole matrix of machines: each gets a lockset that fits, or a refusal that names every lockset."""

import re
from pathlib import Path

import coverage_page as page
import pytest

from verl_env.choose.choose import choose, evaluate
from verl_env.choose.model import Choice, Request
from verl_env.locksets.catalogue import load_catalogue
from verl_env.versions import at_least

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _forget():
    """Some thousand refusals with every reason are half a gigabyte, in a worker that has other tests to run."""
    yield
    page.answers.cache_clear()


@pytest.fixture(scope="module")
def locksets():
    return load_catalogue()


@pytest.fixture(scope="module", params=page.STACKS)
def found(request):
    return request.param, page.answers(request.param)


def test_the_page_is_not_stale():
    assert (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8") == page.coverage_page()


def test_the_matrix_has_every_axis():
    places = list(page.matrix())
    assert len(places) == len(set(places))
    assert {place.gpu for place in places} == set(page.GPUS)
    assert len(page.GPUS) == 16
    for axis, values in (("glibc", page.GLIBCS), ("python", page.PYTHONS), ("arch", page.ARCHS)):
        assert {getattr(place, axis) for place in places} == set(values)
    assert {place.driver for place in places if place.gpu == "A100"} == set(page.DRIVERS)
    assert {place.driver for place in places if place.gpu == "MI300X"} == set(page.ROCMS)
    assert {place.arch for place in places if place.gpu == "GH200"} == {"aarch64"}


def test_every_refusal_is_complete(found, locksets):
    _, answers = found
    ids = {lockset.id for lockset in locksets}
    for place, answer in answers.items():
        if isinstance(answer, Choice):
            continue
        assert {evaluation.lockset.id for evaluation in answer.evaluations} == ids, place
        assert all(evaluation.failed for evaluation in answer.evaluations), place
        assert answer.nearest is not None, place
        assert answer.changes, place


def test_every_choice_fits_its_machine(found):
    stack, answers = found
    for place, answer in answers.items():
        if not isinstance(answer, Choice):
            continue
        lockset, needs = answer.lockset, answer.lockset.requires
        assert stack in lockset.provides
        assert lockset.tier != "recorded"
        assert answer.python == place.python
        assert place.arch in needs.arch
        assert needs.driver is None or at_least(place.driver, needs.driver.minimum), place
        assert needs.glibc is None or at_least(place.glibc, needs.glibc.minimum), place


def test_nothing_that_fits_stands_behind_a_refusal(found, locksets):
    stack, answers = found
    refused = [place for place, answer in answers.items() if not isinstance(answer, Choice)]
    for place in refused[::97]:
        request = Request((stack,), python=place.python)
        assert not any(evaluate(lockset, place.machine, request).fits for lockset in locksets), place


@pytest.mark.parametrize(
    ("gpu", "driver", "glibc", "served"),
    [
        ("V100", "580.126.09", "2.35", False),
        ("T4", "580.126.09", "2.35", False),
        ("A100", "470.256.02", "2.35", False),
        ("A100", "525.147.05", "2.35", True),
        ("H100", "535.288.01", "2.28", True),
        ("H100", "580.126.09", "2.17", False),
        ("B200", "550.144.03", "2.35", False),
        ("B200", "570.195.03", "2.35", True),
        ("RTX PRO 6000", "580.126.09", "2.39", True),
        ("MI350X", "7.0.2", "2.39", True),
        ("MI350X", "7.0.2", "2.31", False),
        ("MI100", "7.2.3", "2.39", False),
        ("MI250X", "7.2.3", "2.35", True),
    ],
)
def test_vllm_on_x86_64(locksets, gpu, driver, glibc, served):
    place = page.Place(gpu, driver, glibc, "3.12", "x86_64")
    answer = choose(locksets, place.machine, Request(("vllm",), python="3.12"))
    assert isinstance(answer, Choice) is served
    assert not served or answer.lockset.accelerator == ("rocm" if gpu.startswith("MI") else "cuda")


def test_the_newest_verl_is_there_for_drivers_from_525_on():
    answers = page.answers("vllm", page.NEWEST)
    served = {place.driver for place, answer in answers.items() if place.gpu == "H100" and isinstance(answer, Choice)}
    assert served == set(page.DRIVERS) - {"470.256.02"}


@pytest.mark.parametrize("gpu", ["GH200", "B200"])
@pytest.mark.parametrize("stack", page.STACKS)
def test_arm_machines_with_driver_580_are_served(locksets, gpu, stack):
    place = page.Place(gpu, "580.126.09", "2.39", "3.12", "aarch64")
    answer = choose(locksets, place.machine, Request((stack,), python="3.12"))
    assert isinstance(answer, Choice)
    assert answer.lockset.requires.arch == ("aarch64",)


@pytest.mark.parametrize(
    ("place", "stack", "covered"),
    [
        (page.Place("A100", "580.126.09", "2.28", "3.12", "x86_64"), "vllm", True),
        (page.Place("A100", "580.126.09", "2.28", "3.12", "x86_64"), "sglang", False),
        (page.Place("A100", "580.126.09", "2.35", "3.12", "x86_64"), "sglang", True),
        (page.Place("A100", "570.195.03", "2.35", "3.12", "x86_64"), "vllm", False),
        (page.Place("A100", "580.126.09", "2.35", "3.11", "x86_64"), "vllm", False),
        (page.Place("A100", "580.126.09", "2.35", "3.12", "aarch64"), "vllm", False),
        (page.Place("T4", "580.126.09", "2.35", "3.12", "x86_64"), "vllm", False),
        (page.Place("MI300X", "7.0.2", "2.35", "3.12", "x86_64"), "vllm", False),
    ],
)
def test_what_the_uv_lock_is_for(place, stack, covered):
    assert place.in_uv_lock(stack) is covered


def test_the_legend_names_what_a_lockset_runs_on(locksets):
    rows = page._legend(locksets).splitlines()[4:]
    for lockset, row in zip(locksets, rows, strict=True):
        name = "ROCm" if lockset.accelerator == "rocm" else "CUDA"
        release = (lockset.rocm if lockset.accelerator == "rocm" else lockset.cuda) or "(release not stated)"
        assert f"| {lockset.torch}, {name} {release} |" in row


def test_every_row_of_a_table_has_the_cells_of_its_head():
    width = None
    for line in (ROOT / "docs" / "coverage.md").read_text().splitlines():
        if not line.startswith("|"):
            width = None
            continue
        cells = len(re.split(r" \| ", line))
        width = width or cells
        assert cells == width, line
