"""Wheel variants: variantlib takes the wheel that the described machine runs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from verl_env.machine import variants

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def fresh() -> None:
    variants._machine.cache_clear()


def described(folder: Path, monkeypatch: pytest.MonkeyPatch, **sides: object) -> None:
    file = folder / "machine.json"
    file.write_text(json.dumps({"schema": 1, "nvidia": None, "amd": None, **sides}))
    monkeypatch.setenv("VERL_ENV_MACHINE", str(file))


def nvidia(cuda: str, *capabilities: str) -> dict[str, object]:
    return {"driver": "580.95.05", "cuda": cuda, "devices": [{"compute_capability": each} for each in capabilities]}


def values(provider: type[variants.NvidiaProvider | variants.AmdProvider]) -> dict[str, list[str]]:
    return {feature.name: feature.values for feature in provider.get_supported_configs()}


def test_an_h100_with_r550(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described(tmp_path, monkeypatch, nvidia=nvidia("12.4", "9.0"))
    found = values(variants.NvidiaProvider)
    assert found["cuda_version_lower_bound"] == ["12.4", "12.3", "12.2", "12.1", "12.0"]
    assert found["cuda_version_upper_bound"][0] == "12.5"
    assert "13.0" in found["cuda_version_upper_bound"]
    assert found["sm_arch"][:2] == ["90_real", "90_virtual"]
    assert "80_real" not in found["sm_arch"]
    assert values(variants.AmdProvider) == {}


def test_different_gpus_share_what_runs_on_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described(tmp_path, monkeypatch, nvidia=nvidia("13.0", "8.6", "8.0"))
    assert [each for each in values(variants.NvidiaProvider)["sm_arch"] if each.endswith("_real")] == ["80_real"]
    variants._machine.cache_clear()
    described(tmp_path, monkeypatch, nvidia=nvidia("13.5", "10.7"))
    assert [each for each in values(variants.NvidiaProvider)["sm_arch"] if each.endswith("_real")] == ["107_real"]


@pytest.mark.parametrize("side", [None, {"driver": None, "devices": []}, {"driver": "580", "devices": [{}]}])
def test_what_is_not_known_is_left_out(side: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described(tmp_path, monkeypatch, nvidia=side)
    assert values(variants.NvidiaProvider) == {}


def test_amd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described(tmp_path, monkeypatch, amd={"rocm": "7.2.1", "devices": [{"gfx": "gfx942"}, {"gfx": "gfx942"}]})
    assert values(variants.AmdProvider) == {"rocm_version": ["7.2"], "gfx_arch": ["gfx942"]}
    variants._machine.cache_clear()
    described(tmp_path, monkeypatch, amd={"rocm": "9.9", "devices": [{"gfx": "gfx942"}, {"gfx": "gfx90a"}]})
    assert values(variants.AmdProvider) == {}


def test_supported_values_are_among_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for cuda, capability in (("12.0", "7.0"), ("12.9", "12.0"), ("13.5", "10.7")):
        variants._machine.cache_clear()
        described(tmp_path, monkeypatch, nvidia=nvidia(cuda, capability))
        every = {feature.name: set(feature.values) for feature in variants.NvidiaProvider.get_all_configs()}
        assert all(set(found) <= every[name] for name, found in values(variants.NvidiaProvider).items())


@pytest.mark.parametrize(
    ("cuda", "capability", "taken"), [("12.4", "9.0", "cu124"), ("13.0", "9.0", "cu130"), ("12.4", "7.0", "null")]
)
def test_variantlib_takes_the_right_wheel(
    cuda: str, capability: str, taken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = pytest.importorskip("variantlib.api", reason="variantlib is an extra of the development environment")
    from variantlib.plugins.loader import VARIANT_PROVIDER_CACHE_TABLE
    from variantlib.variants_json import VariantsJson

    VARIANT_PROVIDER_CACHE_TABLE.clear()

    described(tmp_path, monkeypatch, nvidia=nvidia(cuda, capability))
    both = {"sm_arch": ["80_real", "90_real"]}
    index = {
        "$schema": "https://variants-schema.wheelnext.dev/v0.2.0.json",
        "default-priorities": {"namespace": ["nvidia"]},
        "providers": {"nvidia": {"requires": ["verl-env"], "plugin-api": "verl_env.machine.variants:Nvidia"}},
        "variants": {
            label: {"nvidia": {"cuda_version_lower_bound": [lower], "cuda_version_upper_bound": [upper], **both}}
            for label, lower, upper in (("cu124", "12.4", "13.0"), ("cu130", "13.0", "14.0"))
        },
    }
    ordered = api.get_variants_by_priority(
        variants_json=VariantsJson(index), venv_python_executable=sys.executable, enable_optional_plugins=True
    )
    assert next((found.label for found in ordered), None) == taken
