"""The runtime goes in as a wheel, acts, and is gone without a trace; with uv and with pip."""

from __future__ import annotations

import csv
import os

import pytest

from tests.rounds import EITHER
from tests.runtime.fakes import IMPORT_ALL, STATES, SURVIVES
from verl_env.installers import uv
from verl_env.patches import carrier, change
from verl_env.patches.ask import is_installed, read_states, verify
from verl_env.patches.errors import (
    CarrierShadowedError,
    InstallFailedError,
    InterpreterFailedError,
    NoInterpreterError,
    RuntimeMissingError,
)

ACTS = IMPORT_ALL + SURVIVES + "print(json.dumps(survives()))"
WINNER = "import sys; print(json.dumps(sys.modules['sitecustomize'].__file__))"

OTHERS = {"moe-kernel-layout", "stale-loaders", "lora-mapper", "rocm-moe-expert-map"}  # not for the vLLM of these tests


def files(site):
    return {str(path.relative_to(site)) for path in site.rglob("*") if path.is_file() and "vllm" not in path.parts[-1]}


@pytest.fixture(params=EITHER)
def installer(request, monkeypatch):
    if request.param == "pip":
        monkeypatch.setattr(uv, "find_uv", lambda: None)
    elif uv.find_uv() is None:
        pytest.skip("there is no uv")


@pytest.mark.usefixtures("installer")
def test_in_and_out(environment, prefix):
    before = files(environment.site)
    assert environment.ask(ACTS, "-B") is False
    change.apply(prefix)
    assert is_installed(prefix)
    assert environment.ask(ACTS, "-B") is True
    record = next(environment.site.glob("verl_env_runtime*/RECORD")).read_text()
    recorded = {row[0] for row in csv.reader(record.splitlines())}
    new = {name for name in files(environment.site) - before if not name.endswith(".pyc")}
    assert new <= recorded
    assert list((environment.site / "__pycache__").glob("_verl_env_boot.*.pyc"))
    change.remove(prefix)
    assert files(environment.site) == before
    assert environment.ask(ACTS, "-B") is False


def test_applying_twice_is_applying_once(environment, prefix):
    change.apply(prefix)
    first = files(environment.site)
    change.apply(prefix)
    assert files(environment.site) == first


def test_the_lockset_survives(environment, prefix):
    change.apply(prefix)
    note = environment.site / "verl_env_runtime" / "lockset.txt"
    note.write_text("some-lockset\n")
    change.apply(prefix)
    assert note.read_text() == "some-lockset\n"
    assert environment.ask("import verl_env_runtime; print(json.dumps(verl_env_runtime.lockset()))") == "some-lockset"


def test_without_a_lockset_there_is_none(environment, prefix):
    change.apply(prefix)
    assert environment.ask("import verl_env_runtime; print(json.dumps(verl_env_runtime.lockset()))") is None


@pytest.mark.parametrize("action", [change.apply, change.remove, read_states, lambda path: verify(path, "main")])
def test_no_environment(tmp_path, action):
    with pytest.raises(NoInterpreterError) as caught:
        action(tmp_path)
    assert str(tmp_path) in caught.value.message
    assert "--into" in caught.value.hint


@pytest.mark.parametrize("action", [change.remove, lambda path: verify(path, "main")])
def test_not_installed(prefix, action):
    with pytest.raises(RuntimeMissingError) as caught:
        action(prefix)
    assert "apply" in caught.value.hint


def test_an_environment_that_may_not_be_written(environment, prefix):
    if os.geteuid() == 0:
        environment.site.rename(environment.site.with_name("moved"))
        environment.site.touch()
    else:
        environment.site.chmod(0o500)
    with pytest.raises(InstallFailedError) as caught:
        change.apply(prefix)
    assert caught.value.output


def test_states_without_the_runtime_are_what_it_would_do(prefix):
    report = read_states(prefix)
    assert not report.installed
    assert report.vllm == "0.8.2"
    assert {patch.state for patch in report.patches if patch.id not in OTHERS} == {"applied-unverified"}


def test_states_do_not_import_vllm(environment, prefix):
    (environment.site / "vllm" / "__init__.py").write_text("raise SystemExit(9)")
    change.apply(prefix)
    assert read_states(prefix).vllm == "0.8.2"


def test_an_interpreter_that_fails(environment, prefix):
    change.apply(prefix)
    (environment.site / "verl_env_runtime" / "report.py").write_text("raise RuntimeError('lost')")
    with pytest.raises(InterpreterFailedError) as caught:
        read_states(prefix)
    assert "lost" in caught.value.message


@pytest.mark.parametrize(("value", "hidden"), [(None, None), ("verl_env,other", None), ("other", "other"), ("", "")])
def test_a_plugin_list_that_hides_ours(prefix, monkeypatch, value, hidden):
    monkeypatch.delenv("VLLM_PLUGINS", raising=False)
    if value is not None:
        monkeypatch.setenv("VLLM_PLUGINS", value)
    assert read_states(prefix).hidden == hidden


@pytest.mark.parametrize("process", ["main", "spawn"])
def test_verify_says_what_is_wrong(prefix, process):
    change.apply(prefix)
    report = verify(prefix, process)
    assert report.process == process
    assert report.hook is True
    assert {patch.state for patch in report.patches if patch.id not in OTHERS} == {"failed"}
    assert any("torch" in patch.reason for patch in report.patches)
    assert not report.ok


def test_verify_skips_ray_where_there_is_none(prefix):
    change.apply(prefix)
    assert verify(prefix, "ray").skipped == "Ray is not installed"


class TestSitecustomize:
    def test_it_carries_the_hook_alone(self, environment, prefix):
        if carrier.winner(environment.python) not in ("", str(environment.site / "sitecustomize.py")):
            pytest.skip("this Python has a sitecustomize of its own")
        change.apply(prefix, "sitecustomize")
        (environment.site / "verl_env.pth").unlink()
        assert environment.ask(WINNER).endswith("site-packages/sitecustomize.py")
        assert environment.ask(ACTS) is True
        assert "sitecustomize.py" in next(environment.site.glob("verl_env_runtime*/RECORD")).read_text()

    def test_the_next_one_runs_too(self, environment, prefix, tmp_path):
        if carrier.winner(environment.python):
            pytest.skip("this Python has a sitecustomize of its own")
        change.apply(prefix, "sitecustomize")
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "sitecustomize.py").write_text("import builtins; builtins.other_ran = True")
        (environment.site / "a.pth").write_text(f"{tmp_path / 'other'}\n")
        code = "import builtins; print(json.dumps([builtins.other_ran, '_verl_env_boot' in __import__('sys').modules]))"
        assert environment.ask(code) == [True, True]

    def test_a_foreign_one_is_not_replaced(self, environment, prefix):
        path = environment.site / "sitecustomize.py"
        path.write_text("x = 1\n")
        with pytest.raises(CarrierShadowedError, match="not of verl-env"):
            change.apply(prefix, "sitecustomize")
        assert path.read_text() == "x = 1\n"
        assert not is_installed(prefix)

    def test_where_another_one_wins_it_is_taken_back(self, environment, prefix, tmp_path, monkeypatch):
        monkeypatch.setattr(carrier, "winner", lambda _python: "/etc/python3/sitecustomize.py")
        with pytest.raises(CarrierShadowedError) as caught:
            change.apply(prefix, "sitecustomize")
        assert "/etc/python3/sitecustomize.py" in caught.value.message
        assert not (environment.site / "sitecustomize.py").exists()
        assert environment.ask(STATES + "print(json.dumps(len(states)))") == 7

    def test_it_goes_with_the_runtime(self, environment, prefix):
        if carrier.winner(environment.python):
            pytest.skip("this Python has a sitecustomize of its own")
        change.apply(prefix, "sitecustomize")
        change.remove(prefix)
        assert not (environment.site / "sitecustomize.py").exists()
