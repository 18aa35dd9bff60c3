"""Module files: both languages say the same, and both systems load and unload them without a trace."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from verl_env.bundle.modulefiles.model import Module, module_of
from verl_env.bundle.modulefiles.write import lua, tcl, write
from verl_env.cli.main import main
from verl_env.environment.state import State, write_state

NASTY = 'a "quoted" $HOME [exit 1] {brace} back\\slash ; end'
MODULE = Module(
    "verl", "0.9-demo", "/opt/verl env/bin", {"DEMO": NASTY, "CACHE": "~/.cache/x", "EMPTY": ""}, ("Name: demo",)
)
LMOD = next((p for p in (Path("/usr/share/lmod/lmod/libexec/lmod"),) if p.exists()), None)
TCL = os.environ.get("VERL_ENV_TEST_MODULECMD") or next(
    (str(p) for p in (Path("/usr/lib/x86_64-linux-gnu/modulecmd.tcl"),) if p.exists()), None
)


def environment(tmp_path):
    generation = tmp_path / ".venv.d" / "0001"
    (generation / "bin").mkdir(parents=True)
    (tmp_path / ".venv").symlink_to(".venv.d/0001")
    env = {"VLLM_X": "0"}
    state = State(str(tmp_path / ".venv"), "verl0.9.1-cu130/uv.vllm", "vllm", "3.12", "d", None, {}, (), env=env)
    write_state(generation, state)
    return tmp_path / ".venv"


def test_it_sets_what_run_sets(tmp_path):
    from verl_env.additions.environment import open_environment, run_variables

    place = environment(tmp_path)
    module = module_of(place)
    run = run_variables(open_environment(place), {"PATH": "/bin"})
    assert module.version == "0.9.1-cu130-uv.vllm"
    assert {**module.variables, "PATH": f"{module.path}:/bin"} == {**run, "PYTHONNOUSERSITE": "1"}
    assert any("uv.vllm" in line for line in module.whatis)


def test_both_are_written(tmp_path):
    files = write(MODULE, tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in files] == ["verl/0.9-demo.lua", "verl/0.9-demo"]
    assert files[0].read_text() == lua(MODULE)
    assert files[1].read_text() == tcl(MODULE)
    assert tcl(MODULE).startswith("#%Module1.0\n")


def test_what_keeps_other_users_out_is_told(capsys):
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        place, home = environment(Path(folder)), Path(folder) / "home"
        home.mkdir(mode=0o700)
        (home / "python").touch(0o755)
        (place / "bin/python").symlink_to(home / "python")
        for mode, closed in ((0o755, home), (0o700, Path(folder))):
            Path(folder).chmod(mode)
            assert main(["module", str(place), "--json"]) == 0
            captured = capsys.readouterr()
            assert json.loads(captured.out)["closed"] == str(closed)
            assert f"may not enter {closed}" in captured.err
        Path(folder).chmod(0o755)
        home.chmod(0o711)
        assert main(["module", str(place), "--json"]) == 0
        captured = capsys.readouterr()
        assert (json.loads(captured.out)["closed"], captured.err) == (None, "")


#: Variables of the module systems themselves.
OWN = "_|LMOD|__LMOD|_ModuleTable|MODULE|LOADEDMODULES|_LMFILES|__MODULES|BASH_FUNC|SHLVL"
SCRIPT = """
set -e
{setup}
before=$(env | grep -v -E '^({own})' | sort)
module load verl/0.9-demo
printf '%s\\n' "$DEMO" "$CACHE" "${{PATH%%:*}}"
module unload verl/0.9-demo
after=$(env | grep -v -E '^({own})' | sort)
test "$before" = "$after"
"""


def load(tmp_path, setup):
    env = {"HOME": "/home/somebody", "PATH": "/usr/bin:/bin", "MODULEPATH": str(tmp_path)}
    script = SCRIPT.format(setup=setup, own=OWN)
    done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout.splitlines()


WANT = [NASTY, "/home/somebody/.cache/x", "/opt/verl env/bin"]


@pytest.mark.skipif(LMOD is None, reason="needs Lmod")
@pytest.mark.parametrize("language", ["lua", "tcl"])
def test_lmod_loads_and_unloads_it(tmp_path, language):
    written = write(MODULE, tmp_path)
    written[1 if language == "lua" else 0].unlink()
    assert load(tmp_path, f'module() {{ eval "$({LMOD} bash "$@")"; }}') == WANT


@pytest.mark.skipif(TCL is None or shutil.which("tclsh") is None, reason="needs environment-modules")
def test_environment_modules_loads_and_unloads_it(tmp_path):
    write(MODULE, tmp_path)[0].unlink()
    assert load(tmp_path, f'module() {{ eval "$(tclsh {TCL} bash "$@")"; }}') == WANT
