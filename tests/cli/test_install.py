"""``verl-env install``, with a lockset and wheels made by the tests."""

import hashlib
import json
import os
import platform
import shutil
import sys

import pytest
import tomli_w

from tests.install.plans import PYTHON
from tests.install.wheels import House
from verl_env.cli import carry_out as module
from verl_env.cli.main import EXIT_INTERRUPTED, main
from verl_env.install import run as run_module
from verl_env.install.completeness import COMPLETE
from verl_env.records import replace
from verl_env.wheels import runtime as runtime_wheel

ID = "verl9.9-cu124/app.demo"
FULL = ".".join(map(str, sys.version_info[:3]))
MACHINE = {
    "schema": 1,
    "host": {"os": "ubuntu", "os_version": "22.04", "arch": platform.machine(), "glibc": "2.35", "wsl": False},
    "nvidia": {"driver": "550.54.15", "cuda": "12.4", "devices": [{"name": "H100", "compute_capability": "9.0"}]},
    "amd": None,
    "pythons": [{"version": FULL, "path": sys.executable}],
}
PREFIXES = ("UV_", "PIP_", "PYTHON", "VIRTUAL_ENV", "CONDA_")


class Bench:
    """A catalogue, a wheelhouse and a machine; ``run`` is the command line."""

    def __init__(self, tmp_path, capsys):
        self.root = tmp_path / "constraints"
        self.house = House(tmp_path / "wheels")
        self.machine = tmp_path / "machine.json"
        self.machine.write_text(json.dumps(MACHINE))
        self.into = tmp_path / "project" / ".venv"
        self.into.parent.mkdir()
        self.capsys = capsys
        self.demo = self.house.add("demo", "1.0")
        self.verl = self.house.add("verl", "9.9.1", {"verl/__init__.py": "__version__ = '9.9.1'\n"})
        self.lockset(ID, [self.demo, self.verl], checks=[{"id": "demo", "code": "import demo"}])

    def lockset(self, id_, packages, *, pythons=(PYTHON,), **changes):
        folder = self.root / id_
        folder.mkdir(parents=True, exist_ok=True)
        lock = "".join(map(self._entry, sorted(packages, key=lambda package: package.name)))
        (folder / "lock.txt").write_text(lock)
        python = {
            "python": PYTHON,
            "file": "lock.txt",
            "sha256": hashlib.sha256(lock.encode()).hexdigest(),
            "packages": len(packages),
            "download_bytes": 1,
            "disk_bytes": 2,
        }
        table = {
            "schema": 1,
            "id": id_,
            "family": "9.9",
            "verl": "9.9.1",
            "order": 1,
            "preview": False,
            "tier": "locked",
            "accelerator": "cuda",
            "cuda": "12.4",
            "torch": "2.6.0",
            "provides": ["demo"],
            "engines": {"demo": "1.0"},
            "variant": {"path": "p", "commit": "f" * 40, "date": "2025-07-18T00:00:00Z", "facts_id": "x"},
            "requires": {"arch": [platform.machine()], "gpu": []},
            "env": {"DEMO": "1"},
            "checks": [],
            "pythons": [{**python, "python": each} for each in pythons],
            **changes,
        }
        (folder / "lockset.toml").write_text(tomli_w.dumps(table))

    def run(self, *flags):
        argv = ["install", "--stack", "demo", "--machine", str(self.machine), "--into", str(self.into)]
        argv += ["--offline", "--wheelhouse", str(self.house.path), *flags]
        code = main(argv)
        return code, self.capsys.readouterr()

    @staticmethod
    def _entry(package):
        head = f"{package.name}=={package.version} \\\n    --hash={package.hashes[0]}\n"
        return head + f"    # wheel; {package.download_bytes} bytes; {package.disk_bytes} unpacked\n"


@pytest.fixture
def bench(tmp_path, capsys, monkeypatch):
    for name in [name for name in os.environ if name.startswith(PREFIXES)]:
        monkeypatch.delenv(name)
    bench = Bench(tmp_path, capsys)
    shutil.copytree(runtime_wheel.SOURCE, tmp_path / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(runtime_wheel, "SOURCE", tmp_path / "runtime")
    monkeypatch.setenv("VERL_ENV_CONSTRAINTS", str(bench.root))
    monkeypatch.setenv("VERL_ENV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return bench


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_new_environment_and_then_nothing_to_do(bench, installer):
    code, captured = bench.run("--installer", installer)
    assert code == 0
    assert captured.err.startswith(f"{ID}: verl 9.9.1, demo 1.0, torch 2.6.0, Python {PYTHON} (")
    assert "[1/5] make a virtual environment" in captured.err
    assert "[2/5] install 2 packages" in captured.err
    assert "demo: " in captured.err
    assert "+ demo 1.0\n+ verl 9.9.1\n+ verl-env-runtime" in captured.out
    assert f"source {bench.into}/bin/activate" in captured.out
    code, captured = bench.run("--installer", installer)
    assert (code, captured.err) == (0, "")
    assert captured.out == f"nothing to do: {bench.into} is {ID} as locked\n{COMPLETE}\n"


def test_as_json_nothing_but_json_is_on_stdout(bench):
    code, captured = bench.run("--json")
    data = json.loads(captured.out)
    assert (code, data["schema"], data["done"], data["lockset"], data["python"]) == (0, 1, True, ID, PYTHON)
    assert data["path"] == str(bench.into)
    assert [(change["kind"], change["name"]) for change in data["changes"]][:2] == [("+", "demo"), ("+", "verl")]
    assert data["checks"] == ["demo"]
    again = json.loads(bench.run("--json")[1].out)
    assert (again["done"], again["changes"], again["reason"]) == (False, [], None)


def test_a_dry_run_changes_nothing(bench):
    before = sorted(bench.into.parent.rglob("*"))
    code, captured = bench.run("--dry-run")
    assert code == 0
    assert "+ demo 1.0" in captured.out
    assert "free" in captured.out
    assert "to download" in captured.out
    assert sorted(bench.into.parent.rglob("*")) == before == []
    data = json.loads(bench.run("--dry-run", "--json")[1].out)
    assert (data["dry_run"], data["done"], data["nothing_to_do"]) == (True, False, False)
    assert data["download_bytes"] == bench.demo.download_bytes + bench.verl.download_bytes
    assert data["free_bytes"] > 0
    assert data["disk_files"] == 400
    assert data["free_by"]["bytes"] == "the file system"
    assert data["cache"] == {"path": str(bench.root.parent / "uv"), "linked": True}
    assert sorted(bench.into.parent.rglob("*")) == []


def test_a_dry_run_says_what_would_stop_the_real_one(bench, monkeypatch):
    full = os.statvfs_result((4096, 4096, 10, 2, 2, 10, 10, 10, 0, 255))
    monkeypatch.setenv("UV_LINK_MODE", "copy")
    monkeypatch.setattr("verl_env.install.disk.os.statvfs", lambda _: full)
    bench.lockset(ID, [replace(bench.demo, download_bytes=5_000_000, disk_bytes=9_000_000), bench.verl])
    code, captured = bench.run("--dry-run")
    assert code == 0
    assert f"problem: {bench.into.parent} has 8 kB free, and " in captured.out
    assert " are needed [disk-full]\n         make room (look: df -h" in captured.out
    (problem,) = json.loads(bench.run("--dry-run", "--json")[1].out)["problems"]
    assert (problem["id"], "make room" in problem["hint"]) == ("disk-full", True)
    code, captured = bench.run()
    assert code == 1
    assert problem["message"] in captured.err


def test_a_dry_run_without_the_installer_that_was_asked_for(bench, monkeypatch):
    monkeypatch.setattr("verl_env.installers.uv.find_uv", lambda: None)
    assert "[installer-missing]" in bench.run("--installer", "uv", "--dry-run")[1].out
    assert json.loads(bench.run("--dry-run", "--json")[1].out)["problems"] == []


def test_a_dry_run_on_a_finished_environment(bench):
    bench.run()
    code, captured = bench.run("--dry-run")
    assert code == 0
    assert captured.out.endswith(f"nothing to do\n{COMPLETE}\n")


def test_another_lockset_takes_its_place_and_nobody_is_asked_without_a_terminal(bench):
    bench.run()
    other = "verl9.9-cu124/app.other"
    bench.lockset(other, [bench.house.add("demo", "2.0")])
    assert "~ demo 1.0 -> 2.0" in bench.run("--lockset", other, "--dry-run")[1].out
    code, captured = bench.run("--lockset", other)
    assert code == 0
    assert "- verl 9.9.1\n~ demo 1.0 -> 2.0\n" in captured.out


class Terminal:
    """Stands for a person at a terminal."""

    def __init__(self, answer):
        self.answer = answer

    def isatty(self):
        return True

    def readline(self):
        return self.answer


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("", 1), ("yes\n", 0)])
def test_a_person_is_asked_before_another_lockset_is_replaced(bench, monkeypatch, answer, code):
    bench.run()
    other = "verl9.9-cu124/app.other"
    bench.lockset(other, [bench.demo])
    monkeypatch.setattr(module.sys, "stdin", Terminal(answer))
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: True)
    link = os.readlink(bench.into)  # noqa: PTH115
    assert bench.run("--lockset", other)[0] == code
    assert (os.readlink(bench.into) == link) == bool(code)  # noqa: PTH115


def test_nobody_is_asked_with_yes(bench, monkeypatch):
    bench.run()
    other = "verl9.9-cu124/app.other"
    bench.lockset(other, [bench.demo])
    monkeypatch.setattr(module.sys, "stdin", Terminal("n\n"))
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: True)
    assert bench.run("--lockset", other, "--yes")[0] == 0


def test_what_is_left_out_is_said_each_time(bench):
    bench.lockset(ID, [bench.demo], natives=[{"name": "flash-attn", "version": "2.7.4", "reason": "r"}])
    code, captured = bench.run()
    assert code == 0
    assert "warning: flash-attn 2.7.4 is left out: no wheel of it is known" in captured.err
    why = "no wheel of it is known; no build of it is known"
    assert f"left out: flash-attn ({why})" in captured.out
    assert "left out: flash-attn" in bench.run()[1].out
    assert json.loads(bench.run("--json")[1].out)["left_out"] == {"flash-attn": why}


def test_what_is_asked_for_later_is_more_than_nothing_to_do(bench):
    bench.house.add("thing", "1.0")
    bench.run()
    assert bench.run("--with", "demo==1.0")[1].out.startswith("nothing to do")
    code, captured = bench.run("--with", "thing", "--dry-run")
    assert (code, "it lacks what is asked for with it (thing)" in captured.out) == (0, True)
    code, captured = bench.run("--with", "thing")
    assert (code, "beside the lock: thing 1.0" in captured.err) == (0, True)
    for flags in (["--with", "thing"], [], ["--with", "thing<2"]):
        assert bench.run(*flags)[1].out.startswith("nothing to do")
    assert "thing>=2" in bench.run("--with", "thing>=2", "--dry-run")[1].out


@pytest.mark.parametrize("flags", [["--native", "build"], ["--native", "prebuilt"], ["--with", "apex"]])
def test_natives_that_cannot_be_had_as_asked(bench, flags):
    bench.lockset(ID, [bench.demo], natives=[{"name": "apex", "version": "0.1", "reason": "r"}])
    code, captured = bench.run(*flags)
    assert code == 1
    assert "error[native-unavailable]" in captured.err
    assert not bench.into.with_name(".venv.d").exists()


def test_verl_can_be_left_out(bench):
    code, captured = bench.run("--no-verl")
    assert code == 0
    assert "verl 9.9.1" not in captured.out


@pytest.mark.parametrize(
    ("flags", "error", "code"),
    [
        (["--verl-source", "/nowhere"], "verl-source-invalid", 2),
        (["--verl-source", "/nowhere", "--no-verl"], "usage", 2),
        (["--wheelhouse", "/nowhere"], "wheelhouse-invalid", 2),
        (["--into", "/nowhere/.venv"], "target-parent-missing", 2),
        (["--installer", "conda"], "usage", 2),
    ],
)
def test_wrong_use_is_told_and_changes_nothing(bench, flags, error, code):
    found, captured = bench.run(*flags)
    assert found == code
    assert f"error[{error}]" in captured.err
    assert "Traceback" not in captured.err
    assert sorted(bench.into.parent.rglob("*")) == []


def test_a_directory_of_somebody_else_is_left_alone(bench):
    bench.into.mkdir()
    (bench.into / "thesis.tex").write_text("text")
    code, captured = bench.run("--json")
    assert code == 2
    assert json.loads(captured.out)["error"]["id"] == "environment-foreign"
    assert [path.name for path in bench.into.parent.rglob("*")] == [".venv", "thesis.tex"]


def test_nothing_fits(bench):
    bench.lockset(ID, [bench.demo], requires={"arch": ["m68k"], "gpu": []})
    code, captured = bench.run()
    assert code == 1
    assert "m68k" in captured.err
    code, captured = bench.run("--json")
    assert (code, json.loads(captured.out)["lockset"]) == (1, None)


def test_a_check_that_fails_is_told_with_its_end_and_its_log(bench):
    bench.lockset(ID, [bench.demo], checks=[{"id": "demo", "code": "import demo\nimport gone"}])
    code, captured = bench.run()
    assert code == 1
    assert "error[check-failed]: the check demo failed: a module is missing: gone" in captured.err
    assert "--no-check" in captured.err
    assert not bench.into.is_symlink()
    assert bench.run("--no-check")[0] == 0


def test_an_interrupt_is_told(bench, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "install", interrupt)
    code, captured = bench.run()
    assert code == EXIT_INTERRUPTED
    assert captured.err.endswith(f"interrupted; {bench.into} is as it was\n")


def test_no_gpu_no_gpu_check(bench, monkeypatch):
    monkeypatch.setattr("verl_env.install.transaction.gpu_here", lambda: False)
    bench.lockset(ID, [bench.demo], checks=[{"id": "kernel", "code": "import gone", "needs": "gpu"}])
    code, captured = bench.run()
    assert code == 0
    assert "not checked: kernel (it needs a GPU, and this host has none)" in captured.out
