"""A machine that was described, against the one that is here: at ``install`` and at ``run``."""

import json
import platform

import pytest

from tests.cli.test_install import ID, MACHINE, bench  # noqa: F401 (a fixture)
from verl_env.cli import fit
from verl_env.cli import run as run_module
from verl_env.cli.main import main
from verl_env.environment.state import read_state
from verl_env.machine.record import machine_from_json

DRIVER = {"minimum": "525.60.13", "toolkit": "550.54.15", "source": "a test"}
NEEDS = {"arch": [platform.machine()], "gpu": [], "driver": DRIVER}


def here(monkeypatch, *, driver="550.54.15", glibc="2.35", gpus=True):
    document = json.loads(json.dumps(MACHINE))
    document["host"]["glibc"] = glibc
    document["nvidia"] = {**document["nvidia"], "driver": driver} if gpus else None
    monkeypatch.setattr(fit, "this_machine", lambda _: machine_from_json(document))


def needing(bench, **more):  # noqa: F811
    checks = [{"id": "demo", "code": "import demo"}]
    bench.lockset(ID, [bench.demo, bench.verl], checks=checks, requires={**NEEDS, **more})


def started(monkeypatch, bench, *flags):  # noqa: F811
    """The exit code of ``run`` and the variables of what it started, None where it started nothing."""
    seen = []

    def execve(_, __, env):
        seen.append(env)
        raise SystemExit(0)

    monkeypatch.setattr(run_module.os, "execve", execve)
    try:
        code = main(["run", "--into", str(bench.into), *flags, "--", "true"])
    except SystemExit as done:
        code = done.code
    return code, (seen or [None])[0]


def test_the_environment_remembers_what_it_was_planned_for(bench, monkeypatch):  # noqa: F811
    needing(bench)
    here(monkeypatch, gpus=False)
    code, captured = bench.run()
    assert code == 0, captured.err
    assert "planned for" not in captured.err
    assert read_state(bench.into).machine["nvidia"]["driver"] == "550.54.15"


def test_an_installation_says_what_this_host_lacks_and_goes_on(bench, monkeypatch):  # noqa: F811
    """Somebody installs on a workstation, for a node."""
    needing(bench)
    here(monkeypatch, driver="450.80.02")
    code, captured = bench.run("--json")
    assert code == 0
    (misfit,) = json.loads(captured.out)["misfits"]
    assert (misfit["requirement"], misfit["have"], misfit["planned"]) == ("driver", "450.80.02", "550.54.15")
    assert "525.60.13" in misfit["need"]
    assert "here is 450.80.02" in captured.err


def test_an_installation_whose_checks_must_fail_is_refused_before_it_begins(bench, monkeypatch):  # noqa: F811
    needing(bench, glibc={"minimum": "2.30", "source": "a.whl"})
    here(monkeypatch, glibc="2.17")
    code, captured = bench.run("--dry-run", "--json")
    assert (code, json.loads(captured.out)["misfits"][0]["have"]) == (0, "2.17")
    code, captured = bench.run("--json")
    assert code == 1
    error = json.loads(captured.out)["error"]
    assert (error["id"], error["misfits"][0]["need"]) == ("machine-misfit", ">= 2.30")
    assert not bench.into.exists()
    assert bench.run("--no-check")[0] == 0


def test_a_command_is_not_started_on_a_machine_that_does_not_fit(bench, monkeypatch):  # noqa: F811
    needing(bench)
    here(monkeypatch, gpus=False)
    assert bench.run()[0] == 0
    assert started(monkeypatch, bench)[0] == 0
    here(monkeypatch, driver="450.80.02")
    code, env = started(monkeypatch, bench)
    assert (code, env) == (1, None)
    captured = bench.capsys.readouterr()
    assert "error[machine-misfit]" in captured.err
    for words in ("525.60.13", "450.80.02", "550.54.15", "--any-machine"):
        assert words in captured.err
    assert started(monkeypatch, bench, "--any-machine")[0] == 0


def test_nested_commands_are_compared_once(bench, monkeypatch):  # noqa: F811
    needing(bench)
    here(monkeypatch)
    assert bench.run()[0] == 0
    code, env = started(monkeypatch, bench)
    assert (code, env[fit.COMPARED]) == (0, str(bench.into))
    monkeypatch.setenv(fit.COMPARED, str(bench.into))
    monkeypatch.setattr(fit, "this_machine", lambda _: pytest.fail("asked again"))
    assert started(monkeypatch, bench)[0] == 0


def test_the_doctor_names_it_as_the_root(bench, monkeypatch, tmp_path):  # noqa: F811
    needing(bench)
    here(monkeypatch, gpus=False)
    assert bench.run()[0] == 0
    other = json.loads(json.dumps(MACHINE))
    other["nvidia"]["driver"] = "450.80.02"
    file = tmp_path / "other.json"
    file.write_text(json.dumps(other))
    for name, code in ((file, 1), (bench.machine, 0)):
        argv = ["doctor", "--into", str(bench.into), "--machine", str(name), "--json", "--only", "machine-misfit"]
        assert main(argv) == code
        findings = json.loads(bench.capsys.readouterr().out)["findings"]
        assert [each["id"] for each in findings] == ["machine-misfit"] * code
    assert main(["doctor", "--into", str(bench.into), "--machine", str(file), "--only", "machine-misfit"]) == 1
    shown = bench.capsys.readouterr().out
    assert "525.60.13" in shown
    assert "450.80.02" in shown


def test_this_machine_is_the_one_that_is_here(monkeypatch):
    found = fit.this_machine({"VERL_ENV_MACHINE": "none"})
    assert (found.host.arch, found.nvidia, found.amd) == (platform.machine(), None, None)
    found = fit.this_machine({"PATH": ""})
    assert found.host.arch == platform.machine()
    assert not found.toolchain
