from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zlib import crc32

import pytest

from tests.locksets import samples
from verl_env.constraints import constraints_directory
from verl_env.locksets import catalogue
from verl_env.locksets.catalogue import load_catalogue, lockset_files
from verl_env.locksets.errors import CatalogueMissingError, LocksetInvalidError
from verl_env.locksets.make import catalogue_text

OTHER = "verl1.0-cu1/another"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    samples.write_lockset(tmp_path)
    samples.write_lockset(tmp_path, id=OTHER, order=1)
    return tmp_path


def compile_catalogue(root: Path) -> None:
    (root / "catalogue.json").write_text(catalogue_text(root))


def forbid_toml(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(file):
        raise AssertionError(f"{file} was parsed")

    monkeypatch.setattr(catalogue, "load_lockset", fail)


def test_compiled_and_parsed_locksets_are_equal(root, monkeypatch):
    parsed = load_catalogue(root)
    compile_catalogue(root)
    forbid_toml(monkeypatch)
    assert load_catalogue(root) == parsed
    assert [lockset.id for lockset in parsed] == sorted([samples.ID, OTHER])


def test_the_fast_path_imports_no_toml_parser_and_no_slow_module(root):
    compile_catalogue(root)
    code = (
        "import sys; from pathlib import Path; from verl_env.locksets.catalogue import load_catalogue;"
        "from verl_env.locksets.load import load_packages; root = Path(sys.argv[1]);"
        "lockset = load_catalogue(root)[1]; packages = load_packages(root / lockset.id, lockset.pythons[0]);"
        "assert len(packages) == 4;"
        "slow = {'tomllib', 'tomli', 'packaging', 'subprocess', 'dataclasses', 'urllib.request'};"
        "print(sorted(slow & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code, str(root)], capture_output=True, text=True, check=True,
                          env={"PYTHONPATH": str(Path(catalogue.__file__).parents[2])})  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_an_edited_lockset_is_seen(root):
    compile_catalogue(root)
    file = root / OTHER / "lockset.toml"
    file.write_text(file.read_text().replace('torch = "8.8.0"', 'torch = "8.8.1"'))
    assert {lockset.id: lockset.torch for lockset in load_catalogue(root)} == {samples.ID: "8.8.0", OTHER: "8.8.1"}


def test_a_lockset_that_was_broken_after_compiling_is_an_error(root):
    compile_catalogue(root)
    file = root / OTHER / "lockset.toml"
    file.write_text(file.read_text().replace('verl = "9.9.1"\n', ""))
    with pytest.raises(LocksetInvalidError) as caught:
        load_catalogue(root)
    assert (str(caught.value.file), caught.value.key, caught.value.reason) == (str(file), "verl", "is missing")


def test_an_added_lockset_is_seen_and_a_removed_one_is_not(root):
    compile_catalogue(root)
    samples.write_lockset(root, id="verl2.0-cu2/new")
    (root / OTHER / "lockset.toml").unlink()
    assert [lockset.id for lockset in load_catalogue(root)] == ["verl2.0-cu2/new", samples.ID]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 1}', '{"schema": 1, "locksets": {"a/b": 3}}'])
def test_a_catalogue_of_another_form_is_not_used(root, content):
    parsed = load_catalogue(root)
    (root / "catalogue.json").write_text(content)
    assert load_catalogue(root) == parsed


def test_a_catalogue_of_another_schema_is_not_used(root):
    parsed = load_catalogue(root)
    file = root / OTHER / "lockset.toml"
    entry = {"crc32": crc32(file.read_bytes()), "lockset": {"id": "nonsense"}}
    samples.write_catalogue(root, {OTHER: entry}, schema=2)
    assert load_catalogue(root) == parsed


def test_an_entry_whose_contents_are_wrong_names_the_lockset(root):
    file = root / OTHER / "lockset.toml"
    entry = {"crc32": crc32(file.read_bytes()), "lockset": {"schema": 1, "id": OTHER}}
    samples.write_catalogue(root, {OTHER: entry})
    with pytest.raises(LocksetInvalidError) as caught:
        load_catalogue(root)
    assert str(caught.value.file) == str(file)


@pytest.mark.parametrize("name", ["nothing", "nowhere/at/all"])
def test_a_directory_without_locksets_is_an_error(tmp_path, name):
    (tmp_path / "nothing" / "family" / "variant").mkdir(parents=True)
    with pytest.raises(CatalogueMissingError) as caught:
        load_catalogue(tmp_path / name)
    assert str(tmp_path / name) in caught.value.message
    assert "VERL_ENV_CONSTRAINTS" in str(caught.value.hint)


def test_files_that_are_no_locksets_are_passed_over(root):
    (root / "README").write_text("x")
    (root / samples.ID / "deeper").mkdir()
    (root / samples.ID / "deeper" / "lockset.toml").write_text("x")
    (root / "verl9.9-cu999" / "recipe-only").mkdir()
    assert [name for name, _ in lockset_files(root)] == sorted([samples.ID, OTHER])


def test_the_variable_points_elsewhere(root, monkeypatch):
    monkeypatch.setenv("VERL_ENV_CONSTRAINTS", str(root))
    assert len(load_catalogue()) == 2


def test_without_the_variable_it_is_the_directory_of_the_project():
    assert lockset_files(constraints_directory())
