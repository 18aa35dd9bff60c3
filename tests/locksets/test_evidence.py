"""A tier follows from what was recorded, never from what somebody wrote."""

import json
import re
from pathlib import Path

import pytest

from tests.locksets import samples
from verl_env.locksets.catalogue import load_catalogue
from verl_env.locksets.errors import LocksetInvalidError
from verl_env.locksets.evidence import add_install, add_proof, evidence
from verl_env.locksets.load import lockset_from
from verl_env.locksets.recipe import load_recipe

ROOT = Path(__file__).parents[2]
SHIPPED = load_catalogue(ROOT / "constraints")
INSTALL = {"date": "2026-11-20", "python": "3.10", "seen": "docs/evidence.md#x"}
PROOF = {
    "schema": 1,
    "lockset": samples.ID,
    "python": "3.10.14",
    "gpu": "NVIDIA H200",
    "gpus": 4,
    "driver": "580.159.04",
    "date": "2026-11-28T06:00:00Z",
    "packages": {"torch": "8.8.0", "attention": "2.0"},
    "parts": [{"id": "generate", "state": "passed"}, {"id": "train", "state": "impossible"}],
    "ok": True,
}


@pytest.fixture
def recipe(tmp_path):
    return load_recipe(samples.write_recipe(tmp_path))


def failed(proof):
    return {**proof, "parts": [*proof["parts"], {"id": "refit", "state": "failed"}]}


@pytest.mark.parametrize(
    ("installs", "proofs", "tier"),
    [
        ((), (), "locked"),
        ((INSTALL,), (), "installed"),
        ((), (PROOF,), "proven"),
        ((INSTALL,), (PROOF,), "proven"),
        ((INSTALL,), (failed(PROOF),), "installed"),
        ((), (failed(PROOF),), "locked"),
    ],
)
def test_the_tier_follows_from_what_was_done(recipe, installs, proofs, tier):
    for each in installs:
        add_install(recipe.file.parent, each)
    for each in proofs:
        add_proof(recipe.file.parent, each)
    assert evidence(recipe)["tier"] == tier


def test_planned_is_what_a_recipe_says_for_a_reason_until_somebody_installs_it(tmp_path):
    recipe = load_recipe(samples.write_recipe(tmp_path, planned="no such GPU was there"))
    assert evidence(recipe) == {"tier": "planned"}
    add_install(recipe.file.parent, INSTALL)
    assert evidence(recipe)["tier"] == "installed"


def test_a_lockset_says_what_was_in_it(recipe):
    folder = recipe.file.parent
    add_install(folder, {**INSTALL, "left_out": ["attention"]})
    first = lockset_from(samples.lockset(**evidence(recipe)), folder / "lockset.toml")
    assert first.tried_with() == {"attention": None}
    add_install(folder, {**INSTALL, "natives": {"attention": "1.9"}})
    second = lockset_from(samples.lockset(**evidence(recipe)), folder / "lockset.toml")
    assert (second.tried_with(), second.installed, second.proven_with(())) == ({"attention": "1.9"}, ("3.10",), ())
    add_proof(folder, PROOF)
    third = lockset_from(samples.lockset(**evidence(recipe)), folder / "lockset.toml")
    assert (third.tried_with(), third.proven_with(())) == ({"attention": "2.0"}, ("3.10",))
    [proof] = third.proofs
    assert (proof.gpu, proof.gpus, proof.driver) == ("NVIDIA H200", 4, "580.159.04")
    assert proof.parts == {"generate": "passed", "train": "impossible"}


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"python": "3.9"}, "installs"),
        ({"date": "soon"}, "installs[0].date"),
        ({"natives": ["a"]}, "installs[0].natives"),
    ],
)
def test_an_installation_of_another_form_is_an_error(recipe, change, key):
    add_install(recipe.file.parent, {**INSTALL, **change})
    with pytest.raises(LocksetInvalidError) as caught:
        evidence(recipe)
    assert caught.value.key == key


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", json.dumps({**PROOF, "lockset": "other/one"}), json.dumps({**PROOF, "date": ""})]
)
def test_what_is_no_proof_of_the_lockset_is_an_error(recipe, text):
    file = add_proof(recipe.file.parent, PROOF)
    file.write_text(text)
    with pytest.raises(LocksetInvalidError):
        evidence(recipe)


@pytest.mark.parametrize("lockset", SHIPPED, ids=lambda lockset: lockset.id)
def test_what_is_shipped_names_places_that_exist(lockset):
    assert bool(lockset.installed) is (lockset.tier in {"installed", "proven"})
    for install in lockset.installs:
        file, _, place = install.seen.partition("#")
        headings = re.findall(r"(?m)^#+ (.*)$", (ROOT / file).read_text())
        assert place in {re.sub(r"[^a-z0-9 _-]", "", each.lower()).replace(" ", "-") for each in headings}


def test_two_proofs_of_one_second_are_two(recipe):
    folder = recipe.file.parent
    files = {add_proof(folder, PROOF), add_proof(folder, failed(PROOF)), add_proof(folder, PROOF)}
    assert {file.name[:20] for file in files} == {"2026-11-28-nvidia-h2"}
    assert len(files) == 2
