"""The gates, one case for each way through them."""

from __future__ import annotations

import json

import pytest
from verl_env_runtime import gates, registry
from verl_env_runtime.gates import (
    APPLIED,
    DECLINED,
    DISABLED,
    FAILED,
    NOT_NEEDED,
    UNVERIFIED,
    Verdict,
    combined,
    decide,
)
from verl_env_runtime.registry import PATCHES, fingerprints
from verl_env_runtime.source import tree_at
from verl_env_runtime.versions import in_range, version_key

from . import fakes

BY_ID = {patch.id: patch for patch in PATCHES}
MOE = BY_ID["moe-weight-loader"]
TARGET = MOE.targets[0]
HEAD = "process_weights_after_loading(self, layer)"


def verdict(tmp_path, version="0.8.2", text=fakes.FAULTY_MOE, target=TARGET, patch=MOE, **environ):
    tree = tree_at(fakes.write_vllm(tmp_path, version, {fakes.MOE: text}))
    return decide(patch, target, tree, environ)


CASES = [
    ("unknown code with the fault", {}, UNVERIFIED, "unknown source"),
    ("dev build of the release", {"version": "0.8.3.dev7+gabc"}, UNVERIFIED, "unknown source"),
    ("local build", {"version": "0.8.4+cu118"}, UNVERIFIED, "unknown source"),
    ("strict", {"VERL_ENV_PATCHES_STRICT": "1"}, DECLINED, "STRICT"),
    ("strict off", {"VERL_ENV_PATCHES_STRICT": "0"}, UNVERIFIED, ""),
    ("back-ported fix", {"text": fakes.MENDED_MOE}, NOT_NEEDED, "without the fault"),
    ("before the fault", {"version": "0.8.1"}, NOT_NEEDED, "has the fault from vLLM 0.8.2 on"),
    ("after the fault", {"version": "0.8.5.post1"}, NOT_NEEDED, "16854"),
    ("release candidate of the fix", {"version": "0.8.5rc1"}, UNVERIFIED, ""),
    ("older than known", {"version": "0.7.3"}, DECLINED, "unknown to this patch"),
    ("newer, mended", {"version": "0.40.0", "text": fakes.MENDED_MOE}, NOT_NEEDED, "does not show the fault"),
    ("newer, gone", {"version": "0.40.0", "text": ""}, NOT_NEEDED, "does not show the fault"),
    ("newer, with the fault", {"version": "0.40.0"}, DECLINED, "unknown to this patch"),
    ("no version", {"version": "main"}, DECLINED, "unknown to this patch"),
    ("class renamed", {"text": fakes.FAULTY_MOE.replace("UnquantizedFused", "Other")}, DECLINED, "is not there"),
    ("method renamed", {"text": fakes.FAULTY_MOE.replace("process_weights", "other")}, DECLINED, "is not there"),
    ("new parameter", {"text": fakes.FAULTY_MOE.replace(HEAD, HEAD[:-1] + ", device)")}, DECLINED, "device"),
    ("new keyword", {"text": fakes.FAULTY_MOE.replace(HEAD, HEAD[:-1] + ", *, x=1)")}, DECLINED, "x="),
    ("off", {"VERL_ENV_PATCHES": "off"}, DISABLED, "VERL_ENV_PATCHES=off"),
    ("off by id", {"VERL_ENV_PATCHES": "moe-weight-loader"}, DISABLED, ""),
    ("another is off", {"VERL_ENV_PATCHES": "lora-tensors"}, UNVERIFIED, ""),
    ("on", {"VERL_ENV_PATCHES": "on"}, UNVERIFIED, ""),
]


@pytest.mark.parametrize(("how", "state", "reason"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_verdicts(tmp_path, how, state, reason):
    found = verdict(tmp_path, **how)
    assert found.state == state
    assert reason in found.reason


def test_known_code_is_applied_without_a_reason(tmp_path, monkeypatch):
    tree = tree_at(fakes.write_vllm(tmp_path))
    found = tree.function(TARGET.module, TARGET.qualname).fingerprint
    monkeypatch.setattr(gates, "fingerprints", lambda: {TARGET.name: {found: ["0.8.2"]}})
    assert decide(MOE, TARGET, tree, {"VERL_ENV_PATCHES_STRICT": "1"}) == Verdict(APPLIED, "")


def test_rocm_patches_are_for_rocm_builds(tmp_path):
    patch = registry.Patch("x", "x", MOE.targets, "moe:wrap", "probes.moe:probe", "rocm")
    assert verdict(tmp_path, patch=patch).state == NOT_NEEDED
    assert verdict(tmp_path, "0.8.2+rocm630", patch=patch).state == UNVERIFIED


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        ((NOT_NEEDED, APPLIED), APPLIED),
        ((APPLIED, UNVERIFIED), UNVERIFIED),
        ((APPLIED, DECLINED), DECLINED),
        ((DECLINED, FAILED), FAILED),
        ((NOT_NEEDED, NOT_NEEDED), NOT_NEEDED),
        ((DISABLED, DISABLED), DISABLED),
    ],
)
def test_the_worst_counts(states, whole):
    verdicts = [Verdict(state, f"because {number}") for number, state in enumerate(states)]
    found = combined(verdicts)
    assert found.state == whole
    assert all((verdict.reason in found.reason) == (verdict.state == whole) for verdict in verdicts)


def test_the_table_knows_only_targets_and_versions_that_need_them():
    targets = [target for patch in PATCHES for target in patch.targets]
    for name, prints in fingerprints().items():
        for fingerprint, versions in prints.items():
            assert len(fingerprint) == 12
            assert versions == sorted(versions, key=version_key)
            ranges = [(target.low, target.high) for target in targets if target.name == name]
            assert all(any(in_range(version, *found) for found in ranges) for version in versions)


def test_the_table_has_every_patch_and_is_sorted():
    path = fakes.SOURCE / "verl_env_runtime" / "fingerprints.json"
    table = json.loads(path.read_text())
    assert list(table) == sorted(table)
    assert set(table) == {target.name for patch in PATCHES for target in patch.targets}


def test_ids_are_unique_and_what_they_name_is_there():
    assert len({patch.id for patch in PATCHES}) == len(PATCHES)
    for patch in PATCHES:
        for name in (patch.wrap, patch.probe):
            module, _, function = name.partition(":")
            text = (fakes.SOURCE / "verl_env_runtime" / (module.replace(".", "/") + ".py")).read_text()
            assert f"\ndef {function}(" in text
