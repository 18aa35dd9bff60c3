from __future__ import annotations

import pytest
import tomli_w

from tests.locksets import samples
from verl_env.locksets.errors import LocksetInvalidError
from verl_env.locksets.recipe import Virtual, load_recipe, recipe_files


def test_a_recipe_is_read_whole(tmp_path):
    recipe = load_recipe(
        samples.write_recipe(
            tmp_path,
            steps=[
                {"title": "a", "install": ["x>=1", "y"], "unquoted": ["x>=1"], "upgrade": True, "no_deps": True},
                {
                    "title": "b",
                    "uninstall": ["x"],
                    "find_links": ["https://e.invalid/l"],
                    "index_url": "https://e.invalid",
                },
                {
                    "title": "c",
                    "virtual": [{"name": "v", "version": "1", "requires": ["w"]}, {"name": "u", "version": "2"}],
                },
                {"title": "d", "install": ["z"], "date": "2025-01-01T00:00:00Z"},
            ],
            sdists=[{"name": "s", "version": "1"}],
            overrides=[{"requirement": "o==1", "reason": "r"}],
            excludes=[{"name": "e", "reason": "r"}],
            prereleases=["p"],
            dates=[{"name": "d", "date": "2025-01-01T00:00:00Z", "reason": "r"}],
            unmet=[{"package": "a", "requires": "b", "reason": "r"}],
        )
    )
    assert (recipe.id, recipe.arch, recipe.glibc, recipe.date) == (samples.ID, "x86_64", "2.35", "2025-07-18T09:23:19Z")
    first, second, third, fourth = recipe.steps
    assert (first.install, first.unquoted, first.upgrade, first.no_deps) == (("x>=1", "y"), ("x>=1",), True, True)
    assert (second.uninstall, second.find_links, second.index_url) == (
        ("x",), ("https://e.invalid/l",), "https://e.invalid",
    )  # fmt: skip
    assert third.virtual == (Virtual("v", "1", ("w",)), Virtual("u", "2", ()))
    assert (fourth.date, first.date, first.index_url) == ("2025-01-01T00:00:00Z", None, None)
    assert recipe.sdists[0].requires == ()
    assert [override.requirement for override in recipe.overrides] == ["o==1"]
    assert (recipe.excludes[0].name, recipe.prereleases, recipe.dates[0].name) == ("e", ("p",), "d")
    assert recipe.unmet[0].package == "a"
    assert recipe.glibc_minimum == "2.28"


def test_identity_is_what_a_lockset_takes_over(tmp_path):
    recipe = load_recipe(samples.write_recipe(tmp_path))
    assert recipe.identity == {
        key: value for key, value in samples.LOCKSET.items() if key not in {"schema", "pythons", "deviations", "tier"}
    }


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"date": None}, "date"),
        ({"date": "2025-07-18"}, "date"),
        ({"schema": 7}, "schema"),
        ({"id": None, "glibc": "2.35"}, "id"),
        ({"steps": [{"install": ["x"]}]}, "steps[0].title"),
        ({"steps": [{"title": "a"}, {"title": "b", "instal": ["x"]}]}, "steps[1].instal"),
        ({"sdists": [{"name": "x"}]}, "sdists[0].version"),
        ({"overrides": [{"requirement": "x==1"}]}, "overrides[0].reason"),
        ({"requires": {"arch": ["x86_64", "aarch64"], "gpu": []}}, "requires.arch"),
        ({"requires": {"arch": [], "gpu": []}}, "requires.arch"),
        ({"pythons": ["three"]}, "pythons[0]"),
        ({"tier": "installed"}, "tier"),
        ({"glibc": None}, "glibc"),
        ({"include": "shared.toml"}, "include"),
    ],
)
def test_errors_name_file_and_key(tmp_path, changes, key):
    table = {"id": samples.ID, **samples.recipe(**changes)}
    if "id" in changes:
        del table["id"]
    file = tmp_path / samples.ID / "recipe.toml"
    file.parent.mkdir(parents=True)
    file.write_text(tomli_w.dumps(table))
    with pytest.raises(LocksetInvalidError) as caught:
        load_recipe(file)
    assert (caught.value.file, caught.value.key) == (file, key)


def test_the_id_is_the_folder(tmp_path):
    file = samples.write_recipe(tmp_path)
    moved = tmp_path / "verl0.0-other" / "app" / "recipe.toml"
    moved.parent.mkdir(parents=True)
    file.rename(moved)
    with pytest.raises(LocksetInvalidError, match=r"must be its folder, verl0\.0-other/app"):
        load_recipe(moved)


def test_lists_of_included_files_go_before_the_own_ones(tmp_path):
    (tmp_path / "verl9.9-cu999").mkdir()
    for name in ("first", "second"):
        table = {
            "schema": 1,
            "notes": [f"note of {name}"],
            "steps": [{"title": f"step of {name}", "install": [name]}],
            "sdists": [{"name": name, "version": "1"}],
        }
        (tmp_path / "verl9.9-cu999" / f"{name}.toml").write_text(tomli_w.dumps(table))
    own = samples.write_recipe(tmp_path, include=["../first.toml", "../second.toml"], notes=["own"])
    recipe = load_recipe(own)
    titles = [step.title for step in recipe.steps]
    assert titles == ["step of first", "step of second", "1: torch", "2: engine", "verl"]
    assert recipe.identity["notes"] == ["note of first", "note of second", "own"]
    assert [sdist.name for sdist in recipe.sdists] == ["first", "second"]


@pytest.mark.parametrize(
    ("content", "key"), [("schema = 1\nid = 'x/y'\n", "id"), ("schema = 1\nnotes = 3\n", "notes"), ("", "schema")]
)
def test_errors_of_an_included_file_name_it(tmp_path, content, key):
    own = samples.write_recipe(tmp_path, include=["../shared.toml"])
    shared = own.parent / "../shared.toml"
    shared.write_text(content)
    with pytest.raises(LocksetInvalidError) as caught:
        load_recipe(own)
    assert (caught.value.file, caught.value.key) == (shared, key)


def test_an_included_file_that_is_missing_is_named(tmp_path):
    own = samples.write_recipe(tmp_path, include=["../shared.toml"])
    with pytest.raises(LocksetInvalidError, match="No such file"):
        load_recipe(own)


def test_the_recipes_of_a_directory(tmp_path):
    samples.write_recipe(tmp_path)
    samples.write_recipe(tmp_path, id="verl1.0/app")
    (tmp_path / "recipe.toml").write_text("")
    assert [file.parent.name for file in recipe_files(tmp_path)] == ["app", "app.engine"]
