"""The sixteen variants against the recorded facts of their Dockerfiles: no silent difference."""

from __future__ import annotations

import copy

import pytest
from packaging.utils import canonicalize_name

from tests.locksets.fidelity import DISTRIBUTIONS, Held, silent_differences, specifiers_of
from tests.locksets.variants import variants
from verl_env.components.load import load_catalogue as load_components
from verl_env.constraints import constraints_directory
from verl_env.locksets.catalogue import load_catalogue, packages_of
from verl_env.locksets.recipe import load_recipe, recipe_files

SIXTEEN = (
    "seed001-apptainerfile-rocm",
    "seed001-dockerfile-rocm",
    "seed001-ngc-vllm",
    "seed001-dockfile-ngc-vllm0.8",
    "seed001-ngc-vllm0.8",
    "seed001-ngc-vllm0.8-sagemaker",
    "seed001-sglang",
    "seed001-megatron",
    "seed001-vemlp-vllm-te",
    "seed001-vllm-sglang-megatron",
    "verl0.4-app-sglang-vllm-mcore0.12",
    "verl0.4-app-sglang-vllm-mcore0.12-deepep",
    "verl0.4-app-sglang-vllm-mcore0.13-preview",
    "verl0.4-app-vllm-mcore0.12",
    "verl0.4-app-vllm-mcore0.12-deepep",
    "verl0.4-app-vllm-mcore0.13-preview",
)


@pytest.fixture(scope="module")
def facts():
    return variants()


@pytest.fixture(scope="module")
def held():
    components = load_components()
    recipes = {recipe.id: recipe for recipe in map(load_recipe, recipe_files(constraints_directory()))}
    return {
        lockset.variant.facts_id: Held(
            lockset,
            recipes[lockset.id],
            {
                lock.python: {package.name: package.version for package in packages_of(lockset, lock.python)}
                for lock in lockset.pythons
            },
            components,
        )
        for lockset in load_catalogue()
        if lockset.variant.facts_id in SIXTEEN
    }


def compare(variant, facts, held):
    parent = variant["parent_variant"] or variant.get("derived_from")
    parents = [facts[parent]] if parent else []
    return silent_differences(variant, parents, held[variant["id"]])


@pytest.mark.parametrize("variant", SIXTEEN)
def test_every_variant_has_a_lockset(held, variant):
    assert variant in held


def test_at_least_twelve_are_locked(held):
    assert sum(each.lockset.tier in {"locked", "installed"} for each in held.values()) >= 12


def test_what_is_recorded_only_says_why(held):
    recorded = [each.lockset for each in held.values() if each.lockset.tier == "recorded"]
    assert all("missing" in lockset.notes[0] for lockset in recorded)


def test_previews_are_marked(held):
    assert {name for name, each in held.items() if each.lockset.preview} == {
        name for name in SIXTEEN if name.endswith("preview")
    }


@pytest.mark.parametrize("variant", SIXTEEN)
def test_no_silent_difference(facts, held, variant):
    assert compare(facts[variant], facts, held) == []


@pytest.mark.parametrize("variant", SIXTEEN)
def test_deviations_give_reasons(held, variant):
    packages = [deviation.package for deviation in held[variant].lockset.deviations]
    assert all(deviation.reason.strip() for deviation in held[variant].lockset.deviations)
    assert len(packages) == len(set(packages))


def changed(variant):
    """Copies of a variant's facts, each with one statement changed, and the subject that the comparison must name."""
    for index, step in enumerate(variant["steps"]):
        for position in range(len(step.get("requirements", ())) if "pip" in step["kind"] else 0):
            other = copy.deepcopy(variant)
            other["steps"][index]["requirements"][position] = "a-package-of-its-own==1.0"
            yield other, "a-package-of-its-own"
        if step["kind"] == "git-source":
            other = copy.deepcopy(variant)
            other["steps"][index]["ref"] = "another-branch"
            yield other, step["name"]
    for name in variant["env"]["runtime"]:
        other = copy.deepcopy(variant)
        other["env"]["runtime"][name] = "another value"
        yield other, name
    for key, pin in variant["pins"].items():
        if pin and pin["how"] in {"base", "index", "find-links", "parent", "sdist", "wheel"}:
            other = copy.deepcopy(variant)
            other["pins"][key]["spec"] = "99.9"
            yield other, DISTRIBUTIONS.get(key, key)


@pytest.mark.parametrize("variant", SIXTEEN)
def test_a_changed_fact_is_found(facts, held, variant):
    """The comparison sees every statement: one that is changed is found, unless a deviation speaks of its subject."""
    lockset = held[variant].lockset
    explained = {canonicalize_name(deviation.package) for deviation in lockset.deviations}
    unseen = set()
    for other, subject in changed(facts[variant]):
        found = {canonicalize_name(difference.subject) for difference in compare(other, facts, held)}
        unseen |= {canonicalize_name(subject)} - found - explained
    assert unseen == set() if lockset.tier != "recorded" else unseen <= set(facts[variant]["pins"])


@pytest.mark.parametrize(
    ("spec", "inside", "outside"),
    [
        ("==2.6.0", "2.6.0", "2.6.1"),
        ("2.7.4.post1+cu12torch2.6cxx11abiFALSE", "2.7.4.post1", "2.7.4"),
        ("<2.0.0", "1.26.4", "2.0.0"),
        ("*", "1.0", None),
    ],
)
def test_specs_of_the_facts(spec, inside, outside):
    assert inside in specifiers_of(spec)
    assert outside is None or outside not in specifiers_of(spec)
