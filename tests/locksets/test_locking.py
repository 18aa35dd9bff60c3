from __future__ import annotations

import pytest

from tests.locksets import samples
from tests.locksets.test_make import UNMET
from verl_env.installers.step_resolver import UvResolver
from verl_env.locksets.catalogue import load_catalogue
from verl_env.locksets.errors import LocksetInvalidError, UnknownLocksetError
from verl_env.locksets.index import Index
from verl_env.locksets.locking import check_offline, lock, select
from verl_env.locksets.recipe import load_recipe


@pytest.fixture
def root(tmp_path, folder):
    samples.fill(folder)
    root = tmp_path / "constraints"
    samples.write_recipe(root, unmet=UNMET)
    return root


@pytest.fixture
def run(root, folder):
    def run(*ids, **options):
        return lock(ids, directory=root, index=Index(folder.url), resolver=UvResolver, **options)

    return run


def test_locking_writes_what_a_check_then_accepts(root, run):
    said = []
    (outcome,) = run(say=said.append)
    assert outcome.id == samples.ID
    assert outcome.differences == ("lockset.toml is missing", "py3.10.txt is missing")
    assert len(said) == 3
    assert load_catalogue(root)[0].id == samples.ID
    assert sorted(file.name for file in (root / samples.ID).iterdir()) == ["lockset.toml", "py3.10.txt", "recipe.toml"]
    assert run(check=True)[0].differences == ()
    assert all(not outcome.differences for outcome in check_offline(root))


def test_a_check_writes_nothing(root, run):
    run(check=True)
    assert [file.name for file in (root / samples.ID).iterdir()] == ["recipe.toml"]
    assert not (root / "catalogue.json").exists()


def test_a_check_names_every_package_that_differs(root, run):
    run()
    file = root / samples.ID / "py3.10.txt"
    text = file.read_text()
    first, last = text.index("cudnn=="), text.index("engine==")
    changed = text[:first] + text[last:].replace("numpy==1.26.4", "numpy==1.26.3")
    extra = text[first:last].replace("cudnn", "zzz")
    changed += extra
    digest = text[text.index("torch==") :].split("sha256:")[1][:64]
    changed = (
        changed.replace(digest, "0" * 64).replace("helper==1.0", "helper==1.0").replace("# wheel; 4", "# wheel; 5")
    )
    file.write_text(changed)
    differences = run(check=True)[0].differences
    assert differences[0] == "py3.10.txt differs"
    assert set(differences) >= {
        "py3.10.txt: + cudnn 1.0",
        "py3.10.txt: - zzz 1.0",
        "py3.10.txt: ~ numpy 1.26.3 -> 1.26.4",
        "py3.10.txt: ~ torch 8.8.0: 1 of its files are gone, 1 are new",
    }


def test_a_file_that_the_index_lost_is_told(root, run, folder):
    folder.add("numpy", "1.26.4", tag="cp310-cp310-manylinux_2_28_x86_64")
    run()
    folder.links["numpy"] = [link for link in folder.links["numpy"] if "manylinux_2_28" not in link]
    folder.write()
    assert "py3.10.txt: ~ numpy 1.26.4: 1 of its files are gone, 0 are new" in run(check=True)[0].differences


def test_a_source_that_nobody_takes_may_go(root, run, folder):
    run()
    folder.links["numpy"] = [link for link in folder.links["numpy"] if ".tar.gz" not in link]
    folder.write()
    assert run(check=True)[0].differences == ()


def test_an_upload_time_alone_is_told_too(root, run):
    run()
    file = root / samples.ID / "py3.10.txt"
    file.write_text(file.read_text().replace("uploaded 2025-01-01", "uploaded 2024-01-01", 1))
    assert "another source, size or upload time" in run(check=True)[0].differences[1]


def test_locks_of_pythons_that_are_no_longer_wanted_go(root, run):
    run()
    stray = root / samples.ID / "py3.9.txt"
    stray.write_text("")
    assert run(check=True)[0].differences == ("py3.9.txt belongs to no Python of the recipe",)
    run()
    assert not stray.exists()


def test_only_what_is_asked_for_is_locked(root, run):
    samples.write_recipe(root, id="verl1.0/other", unmet=UNMET)
    assert [outcome.id for outcome in run("other")] == ["verl1.0/other"]
    assert not (root / samples.ID / "lockset.toml").exists()


def recipes(root, *names):
    return [load_recipe(samples.write_recipe(root, id=name)) for name in names]


@pytest.mark.parametrize(
    ("ids", "chosen"),
    [
        ([], ["a/x", "b/x", "b/y"]),
        (["y"], ["b/y"]),
        (["b/x", "y"], ["b/x", "b/y"]),
        (["b/y", "a/x"], ["a/x", "b/y"]),
    ],
)
def test_which_recipes_are_meant(tmp_path, ids, chosen):
    assert [recipe.id for recipe in select(ids, recipes(tmp_path, "a/x", "b/x", "b/y"))] == chosen


@pytest.mark.parametrize("name", ["x", "z", "a", "a/"])
def test_a_name_that_means_none_or_several_is_an_error(tmp_path, name):
    with pytest.raises(UnknownLocksetError) as caught:
        select([name], recipes(tmp_path, "a/x", "b/x"))
    assert repr(name) in caught.value.message
    assert "a/x, b/x" in str(caught.value.hint)


def differences(root):
    return {outcome.id: outcome.differences for outcome in check_offline(root) if outcome.differences}


def test_the_offline_check_sees_a_recipe_that_moved_on(root, run):
    run()
    samples.write_recipe(root, unmet=UNMET, order=77)
    assert differences(root) == {samples.ID: ("lockset.toml differs",)}


def test_the_offline_check_sees_an_edited_lock(root, run):
    run()
    with (root / samples.ID / "py3.10.txt").open("a") as stream:
        stream.write("# more\n")
    ((difference,),) = differences(root).values()
    assert "py3.10.txt has sha256" in difference


def test_the_offline_check_sees_a_missing_lockset_and_a_stale_catalogue(root, run):
    run()
    (root / samples.ID / "lockset.toml").unlink()
    assert differences(root) == {
        samples.ID: ("lockset.toml is missing",),
        "catalogue.json": ("catalogue.json is not what the lockset.toml files give",),
    }


def test_the_offline_check_does_not_pass_over_a_lockset_that_cannot_be_read(root, run):
    run()
    (root / samples.ID / "lockset.toml").write_text("schema = 1\n")
    with pytest.raises(LocksetInvalidError):
        check_offline(root)
