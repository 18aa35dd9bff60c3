"""The faults and the patches on vLLM's own source: without the patch it fails as recorded, with it it is right.

Needs what ``trees/prepare.py`` fetches, in the folder that ``VERL_ENV_TREES`` names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from verl_env_runtime.registry import fingerprints
from verl_env_runtime.versions import in_range, version_key

from .fakes import SOURCE

HERE = Path(__file__).parent / "trees"
TREES = Path(os.environ.get("VERL_ENV_TREES", "/nonexistent"))

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not (TREES / "python").is_dir(), reason="VERL_ENV_TREES names no prepared folder"),
]


def tree_path(version):
    minor = int(version.split(".")[1])
    later = [] if minor < 10 else ["transformers-4.57"] if minor < 24 else ["transformers-5"]
    return [str(TREES / name) for name in later] + [str(TREES / version)]


def drive(version, script, *arguments, verl=None):
    """The answers of a driver, run on the tree of a version, where asked with a verl beside it."""
    if not (TREES / version).is_dir():
        pytest.skip(f"{version} was not fetched")
    path = os.pathsep.join(
        [
            str(SOURCE),
            str(HERE / "plugin"),
            str(HERE),
            *tree_path(version),
            *([str(TREES / f"verl-{verl}")] * bool(verl)),
        ]
    )
    env = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    python = TREES / "python" / "bin" / "python"
    done = subprocess.run([python, HERE / script, *arguments], env=env, capture_output=True, text=True, check=False)
    found = [json.loads(line[7:]) for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
    assert found, done.stdout[-2000:] + done.stderr[-4000:]
    return found


MODELS = ["Qwen2Moe", "Mixtral", "DeepseekV3", "Olmoe"]
FAULTY = [(version, model) for version in ("0.8.2", "0.8.3", "0.8.4") for model in MODELS] + [("0.8.4", "Qwen3Moe")]


@pytest.mark.parametrize(("version", "model"), FAULTY)
def test_moe_second_load(version, model):
    (without,) = drive(version, "moe_models.py", model)
    assert "no attribute 'weight_loader'" in without["error"]
    (patched,) = drive(version, "moe_models.py", model, "--patched")
    assert patched["states"]["moe-weight-loader"] == "applied"
    assert patched["in_force"]["moe-weight-loader"]
    assert patched["different"] == []
    assert patched["tensors"] >= 17
    assert patched["same_objects"]


@pytest.mark.parametrize("model", MODELS)
def test_moe_loaders_restored_after_creation(model):
    (answer,) = drive("0.8.4", "moe_models.py", model, "--restore")
    assert (answer["restored"], answer["different"]) == (2 if model == "DeepseekV3" else 4, [])


@pytest.mark.parametrize("model", ["Mixtral", "Qwen3Moe"])
def test_moe_is_left_alone_where_vllm_is_right(model):
    for flags in ([], ["--patched"]):
        (answer,) = drive("0.8.5.post1", "moe_models.py", model, *flags)
        assert answer["states"]["moe-weight-loader"] == "not-needed"
        assert not answer["in_force"]["moe-weight-loader"]
        assert answer["different"] == []


LAYOUTS = "plain,cutlass,deepgemm,flashinfer"
FP8 = ["0.8.2", "0.10.0", "0.10.2", "0.11.0", "0.11.2", "0.12.0", "0.13.0", "0.16.0", "0.18.0", "0.20.2", "0.24.0"]
FP8 += ["0.28.0"]
LINEAR_ALONE = {"0.16.0", "0.18.0"}  # their experts ask for a CUDA stream
LOST = ("no attribute 'weight_loader'", "no attribute 'load_merged_column_weight'", "quant method must be one of")
#: The largest error of an output relative to unquantized weights: e4m3 with one scale a block gives 0.037 for a linear
#: layer and 0.047 for experts, scales that are powers of two 0.047 and 0.065. The wrong weights give more than 1.
TOLERANCE = 0.08


@pytest.mark.parametrize("version", FP8)
def test_fp8_second_load(version):
    kinds = "linear" if version in LINEAR_ALONE else "linear,moe"
    answers = drive(version, "fp8_layers.py", kinds, LAYOUTS, "--patched")
    assert len(answers) == len(LAYOUTS.split(",")) * len(kinds.split(","))
    for answer in answers:
        case = f"{answer['kind']} {answer['layout']}"
        assert answer.get("different") == [], (case, answer)
        assert answer["changed"], case
        assert answer["same_output"], case
        assert max(answer["errors"]) < TOLERANCE, case
        assert answer["same_storage"], case
        assert answer["same_objects"], case
        assert answer["follows"], case
        assert answer["states"]["fp8-block-quant"] == "applied"


@pytest.mark.parametrize("version", FP8)
def test_fp8_second_load_fails_without_the_patch(version):
    kinds = "linear" if version in LINEAR_ALONE | {"0.28.0"} else "linear,moe"
    for answer in drive(version, "fp8_layers.py", kinds, "plain", "--bare"):
        assert any(text in answer["error"] for text in LOST), answer


def test_fp8_is_left_alone_where_vllm_is_right():
    for answer in drive("0.33.0", "fp8_layers.py", "linear", LAYOUTS, "--patched"):
        assert answer["states"]["fp8-block-quant"] == "not-needed"
        assert answer["different"] == []
        assert answer["same_output"]
        assert max(answer["errors"]) < TOLERANCE


LORA = [
    "0.8.2",
    "0.8.5.post1",
    "0.10.0",
    "0.10.2",
    "0.11.0",
    "0.11.2",
    "0.12.0",
    "0.13.0",
    "0.16.0",
    "0.18.0",
    "0.20.2",
]
LORA += ["0.24.0", "0.28.0", "0.31.0", "0.33.0"]


@pytest.mark.parametrize("version", LORA)
def test_lora_from_tensors_is_the_adapter_from_files(version):
    for answer in drive(version, "lora_adapters.py", "--patched"):
        assert answer["wrong"] is None, answer
        assert answer["in_force"]["lora-tensors"]


def test_lora_from_tensors_fails_without_the_patch():
    assert all(answer["wrong"] for answer in drive("0.8.5.post1", "lora_adapters.py"))


LAYOUT_CASES = ",".join(
    f"{backend}:{way}" for backend in ("cutlass", "trtllm") for way in ("plain", "processed", "refit")
)
#: What fails without the patch: until 0.19 TRTLLM replaces the weights with blocks, and CUTLASS is left as it is.
WRONG = {
    "0.16.0": {"trtllm:plain", "trtllm:processed"},
    "0.18.0": {"trtllm:plain", "trtllm:processed"},
    "0.20.2": {"cutlass:plain", "trtllm:plain", "trtllm:processed"},
    "0.24.0": {"cutlass:plain", "trtllm:plain", "trtllm:processed"},
    "0.33.0": {"cutlass:plain", "trtllm:plain"},
}


@pytest.mark.parametrize("version", WRONG)
def test_expert_weights_reach_a_layout_of_the_kernels(version):
    for answer in drive(version, "moe_layouts.py", LAYOUT_CASES, "--patched"):
        assert answer.get("equal") == [True, True], answer
        assert answer["same_storage"], answer
        assert answer["in_force"]["moe-kernel-layout"]


@pytest.mark.parametrize("version", WRONG)
def test_a_refit_of_a_part_keeps_the_old_weights(version):
    part, raises, padded = drive(version, "moe_layouts.py", "cutlass:part,cutlass:raises,embedding:refit", "--patched")
    assert (part["raised"], part["equal"]) == ("IncompleteRefit", [True, True, True])
    assert (raises["raised"], raises["equal"]) == ("KeyError", [True, True, True])
    assert padded["equal"] == [True]
    assert padded["rows"] > 100


@pytest.mark.parametrize("version", WRONG)
def test_expert_weights_are_wrong_without_the_patch(version):
    answers = drive(version, "moe_layouts.py", LAYOUT_CASES)
    wrong = {answer["case"] for answer in answers if answer.get("equal") != [True, True]}
    assert wrong == WRONG[version]


ORDERS = [["--patched"], ["--late"], ["--patched", "--late"]]
#: verl's releases with a vLLM that they are for, and what verl's own patching cannot do there, with or without ours.
VERL_FP8 = [
    ("0.7.0", "0.10.0", "linear,moe/plain,deepgemm", {}),
    ("0.7.0", "0.11.0", "linear,moe/plain", {"linear": "maybe_post_process_fp8_weight_block() missing 1 required"}),
    ("0.7.0", "0.12.0", "linear,moe/plain", {"moe": "cannot import name 'is_rocm_aiter_moe_enabled'"}),
    ("0.8.0", "0.18.0", "linear/plain,deepgemm", {"deepgemm": "no attribute 'load_merged_column_weight'"}),
    ("0.9.1", "0.24.0", "linear,moe/plain,deepgemm", {}),
]
SAME = ("kind", "layout", "error", "digest", "errors", "same_storage", "same_objects")


@pytest.mark.parametrize(("verl", "version", "what", "broken"), VERL_FP8)
def test_verls_fp8_patches_do_beside_ours_what_they_do_alone(verl, version, what, broken):
    alone = drive(version, "verl_orders.py", "fp8", what, verl=verl)
    for answer in alone:
        expected = broken.get(answer["kind"]) or broken.get(answer["layout"])
        assert (expected or "") in answer.get("error", "")
        assert expected or max(answer["errors"]) < TOLERANCE, answer
    for order in ORDERS:
        beside = drive(version, "verl_orders.py", "fp8", what, *order, verl=verl)
        for one, other in zip(alone, beside, strict=True):
            assert {key: one.get(key) for key in SAME} == {key: other.get(key) for key in SAME}, order
            assert other["states"]["fp8-block-quant"] == "not-needed"


VERL_LORA = [
    ("0.4.1", "0.8.5.post1"),
    ("0.6.1", "0.10.2"),
    ("0.7.0", "0.11.0"),
    ("0.7.0", "0.12.0"),
    ("0.9.1", "0.24.0"),
    ("0.9.1", "0.30.0"),
    ("0.9.1", "0.33.0"),
]


@pytest.mark.parametrize("order", ORDERS, ids="".join)
@pytest.mark.parametrize(("verl", "version"), VERL_LORA)
def test_verls_requests_and_ours_load_beside_each_other(verl, version, order):
    (answer,) = drive(version, "verl_orders.py", "lora", "-", *order, verl=verl)
    assert answer["wrong"] is None
    assert answer["wrong_ours"] is None


def test_verls_lora_requests_are_ours_too():
    (answer,) = drive("0.12.0", "verl_orders.py", "lora", "-", "--patched", "--unhijacked", verl="0.7.0")
    assert answer["wrong"] is None


@pytest.mark.parametrize("order", ORDERS, ids="".join)
def test_verls_moe_function_works_beside_ours(order):
    (answer,) = drive("0.8.2", "verl_orders.py", "moe", "Qwen2Moe", *order, verl="0.4.1")
    assert answer["different"] == []


@pytest.mark.parametrize("version", ["0.20.2", "0.24.0", "0.26.0"])
def test_expert_maps_survive_dummy_weights_on_rocm(version):
    (without,) = drive(version, "moe_expert_maps.py")
    assert set(without["after"]["_expert_map"]) == {0}
    (patched,) = drive(version, "moe_expert_maps.py", "--patched")
    assert patched["after"] == patched["before"]
    assert patched["states"]["rocm-moe-expert-map"] == "applied"


def test_expert_maps_are_left_to_vllm_where_it_keeps_them():
    (answer,) = drive("0.27.0", "moe_expert_maps.py", "--patched")
    assert answer["after"] == answer["before"]
    assert answer["states"]["rocm-moe-expert-map"] == "not-needed"


def test_every_release_on_the_index_is_looked_at():
    done = subprocess.run(
        [sys.executable, "-m", "pip", "index", "versions", "vllm"], capture_output=True, text=True, check=False
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith("Available versions:")), None)
    if line is None:
        pytest.skip("no package index is reached")
    releases = [version for version in line.partition(":")[2].replace(",", " ").split() if version_key(version)]
    known = {version for prints in fingerprints().values() for versions in prints.values() for version in versions}
    wanted = {version for version in releases if in_range(version, "0.8.2", "9999")}
    assert wanted - known <= {"0.21.0"}  # the index has no wheel of it for Linux on x86-64
