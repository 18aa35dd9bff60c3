"""The builds of the catalogue against the recorded steps of the Dockerfiles that the locksets mirror."""

from __future__ import annotations

import pytest
from packaging.utils import canonicalize_name

from tests.locksets.variants import variants
from verl_env.components.load import load_catalogue
from verl_env.locksets.catalogue import load_catalogue as load_locksets

CATALOGUE = load_catalogue()
LOCKSETS = load_locksets()
#: Names in the facts, where they are not those of the component.
NAMES = {"deepep": "deep-ep", "flash-attention": "flash-attn"}
#: What the machine decides and not the image: its jobs, its GPUs, where things are (so do values within its ROCM_PATH);
#: and what counts at run time only.
OF_THE_MACHINE = {"MAX_JOBS", "NINJA_FLAGS", "GPU_ARCHS", "ROCM_PATH", "LD_LIBRARY_PATH", "PATH"}


@pytest.fixture(scope="module")
def facts():
    return variants()


def built(facts, lockset):
    """The step of the image that builds each native of the lockset, the last where there are several."""
    steps = {}
    for step in facts[lockset.variant.facts_id]["steps"]:
        if step["kind"] == "git-source":
            name = canonicalize_name(step["name"])
            steps[NAMES.get(name, name)] = step
    for native in lockset.natives:
        if native.name in steps:
            yield steps[native.name], native, CATALOGUE.components[native.name].release(native.version)


@pytest.mark.parametrize("lockset", LOCKSETS, ids=lambda lockset: lockset.id)
def test_sources_settings_and_variables_are_those_of_the_image(facts, lockset):
    for step, native, release in built(facts, lockset):
        recipes = release.recipes
        if step.get("ref"):
            sources = {recipe.source.removeprefix("git+").replace(".git@", "@") for recipe in recipes}
            assert any(source.startswith(step["url"].removesuffix(".git")) for source in sources), native
        assert all(set(step.get("config_settings", ())) <= set(recipe.settings) for recipe in recipes), native
        known = {name for recipe in recipes for name in (*recipe.env, recipe.arch_variable)} | set(native.env)
        set_here = step.get("env", {}).items()
        wanted = {name for name, value in set_here if "$(" not in value and not value.startswith("${ROCM_PATH}")}
        assert wanted - OF_THE_MACHINE <= known, native


def test_nvshmem_has_the_variables_and_the_patch_of_every_image(facts):
    recipe = CATALOGUE.components["nvshmem"].release("3.2.5-1").recipes[0]
    seen = 0
    for lockset in LOCKSETS:
        for step in facts[lockset.variant.facts_id]["steps"]:
            if "nvshmem 3.2.5-1" in step.get("what", ""):
                seen += 1
                assert recipe.source in step["urls"]
                assert step["env"].items() <= recipe.env.items()
                assert step["patch"][0] == recipe.patches[0].replace("deep-ep:", "DeepEP/")
    assert seen


def test_gdrcopy_is_of_the_tag_of_every_image(facts):
    for lockset in LOCKSETS:
        steps = facts[lockset.variant.facts_id]["steps"]
        tags = {step["ref"] for step in steps if step.get("name") == "gdrcopy"}
        versions = {native.version for native in lockset.natives if native.name == "gdrcopy"}
        if versions and tags:
            assert {f"v{version}" for version in versions} == tags
