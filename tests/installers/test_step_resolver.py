from __future__ import annotations

import pytest

from tests.locksets import samples
from verl_env.installers import step_resolver as module
from verl_env.installers.step_resolver import UvResolver, parse_changes
from verl_env.locksets.errors import ReplayError, UvMissingError
from verl_env.locksets.recipe import load_recipe
from verl_env.locksets.replay import StepChange
from verl_env.locksets.target import LockTarget

OUTPUT = """\
Using Python 3.11.7 environment at: venv
Resolved 5 packages in 14ms
Would download 2 packages
Would uninstall 2 packages
Would install 3 packages
 - numpy==2.0.0
 + numpy==1.26.4
 ~ same==1.0
 - Old_Name==1
 + torch==2.6.0+cu124
 + engine==1.0 (from https://example.invalid/engine-1.0-py3-none-any.whl)
warning: something - else==1
"""


def test_what_uv_would_change():
    assert parse_changes(OUTPUT) == (
        StepChange("-", "numpy", "2.0.0"),
        StepChange("+", "numpy", "1.26.4"),
        StepChange("-", "old-name", "1"),
        StepChange("+", "torch", "2.6.0+cu124"),
        StepChange("+", "engine", "1.0"),
    )
    assert parse_changes("Audited 3 packages in 2ms\nWould make no changes\n") == ()


def test_a_package_without_a_version_is_not_passed_over():
    with pytest.raises(ReplayError):
        parse_changes(" + engine @ file:///somewhere\n")


@pytest.fixture
def uv(tmp_path, folder):
    samples.fill(folder)
    recipe = load_recipe(samples.write_recipe(tmp_path / "constraints"))
    (tmp_path / "work").mkdir()
    return UvResolver(tmp_path / "work", recipe, LockTarget("3.10", "x86_64", "2.35"), folder.url), recipe


def test_a_step_is_resolved_as_of_its_date(uv):
    program, recipe = uv
    changes = program.resolve(recipe.steps[1], ["engine", "numpy<2"])
    assert [(change.name, change.version) for change in changes] == [
        ("cudnn", "1.0"), ("engine", "1.2.post3"), ("helper", "1.0"), ("numpy", "1.26.4"), ("torch", "8.8.0"),
    ]  # fmt: skip


def test_settings_of_the_user_do_not_change_a_resolution(uv, monkeypatch):
    program, recipe = uv
    monkeypatch.setenv("UV_EXCLUDE_NEWER", "2001-01-01")
    monkeypatch.setenv("UV_NO_BINARY", "1")
    monkeypatch.setenv("UV_CONSTRAINT", "/nowhere")
    assert [change.version for change in program.resolve(recipe.steps[1], ["helper"])] == ["1.0"]


def test_what_cannot_be_resolved_is_told_in_the_words_of_uv(uv):
    program, recipe = uv
    with pytest.raises(ReplayError) as caught:
        program.resolve(recipe.steps[1], ["helper==7"])
    assert caught.value.step == f"{samples.ID}, Python 3.10, 2: engine"
    assert "helper==7" in caught.value.message


def test_without_uv_nothing_is_locked(tmp_path, monkeypatch, folder):
    recipe = load_recipe(samples.write_recipe(tmp_path / "constraints"))
    monkeypatch.setattr(module, "uv_program", lambda: None)
    with pytest.raises(UvMissingError) as caught:
        UvResolver(tmp_path, recipe, LockTarget("3.10", "x86_64", "2.35"), folder.url)
    assert "verl-env[uv]" in str(caught.value.hint)
