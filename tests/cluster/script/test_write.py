import shutil
import subprocess
from pathlib import Path

import pytest

from verl_env.cli.main import main
from verl_env.cluster.script.schedulers import NAMES, scheduler
from verl_env.cluster.script.write import ScriptJob, write


def job(**more):
    settings = {
        "kind": "ray", "nodes": 3, "gpus": 4, "command": ("python", "-m", "a b"), "environment": Path("/envs/v e")
    }  # fmt: skip
    return ScriptJob(**{**settings, **more})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["ray", "torchrun"])
@pytest.mark.parametrize("more", [{}, {"program": "/opt/verl env", "variables": {"A": "it's", "B": "$x"}}])
def test_every_script_is_right_in_the_eyes_of_bash_and_shellcheck(name, kind, more):
    text = write(job(kind=kind, scheduler=name, **more))
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    assert "@" not in text.replace("[@]", "").replace('"$@"', "").replace("{@", "")
    if shutil.which("shellcheck"):
        done = subprocess.run(["shellcheck", "-"], input=text, text=True, capture_output=True, check=False)
        assert done.stdout == ""
    assert ("UNTESTED" in text) is not scheduler(name).tested


def test_only_what_was_asked_for_is_a_directive():
    lines = [line for line in write(job(gpus=0)).splitlines() if line.startswith("#SBATCH")]
    assert lines == ["#SBATCH --nodes=3", "#SBATCH --ntasks-per-node=1"]


def test_directives_of_the_site_are_added_as_they_are():
    text = write(job(options={"time": "1:00:00"}, directives=("--qos=x",)))
    assert "#SBATCH --time=1:00:00\n" in text
    assert "#SBATCH --qos=x\n" in text


def test_values_of_variables_survive_the_shell():
    for value in ("plain", "it's", "a b", "$HOME", '"', "a;b", "back\\slash", "}"):
        text = write(job(variables={"MINE": value}))
        line = next(line for line in text.splitlines() if "export MINE=" in line)
        shown = subprocess.run(
            ["bash", "-uc", f'{line}; printf %s "$MINE"'], capture_output=True, text=True, check=True
        )
        assert shown.stdout == value


def test_a_value_of_the_user_wins():
    line = next(each for each in write(job(variables={"MINE": "x"})).splitlines() if "MINE" in each)
    shown = subprocess.run(
        ["bash", "-c", f'MINE=own; {line}; printf %s "$MINE"'], capture_output=True, text=True, check=True
    )
    assert shown.stdout == "own"


def test_the_check_before_can_be_left_out():
    assert "cluster doctor" in write(job(program="/bin/verl-env"))
    assert "cluster doctor" not in write(job())


def test_the_command_line_writes_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["cluster", "script", "--nodes", "2", "-o", "job.sh", "--", "python", "train.py", "--x", "1"]) == 0
    text = (tmp_path / "job.sh").read_text()
    assert "command=(python train.py --x 1)" in text
    assert "sbatch job.sh" in capsys.readouterr().err


def test_interactive_is_a_shell_on_the_head_node(capsys):
    assert main(["cluster", "script", "--nodes", "2", "--interactive"]) == 0
    text = capsys.readouterr().out
    assert "command=(bash -i)" in text
    assert '--pty "${command[@]}"' in text


@pytest.mark.parametrize(
    "args",
    [
        ["--nodes", "2"],
        ["--nodes", "0", "--", "x"],
        ["--nodes", "2", "--gpus-per-node", "-1", "--", "x"],
        ["--nodes", "2", "--interactive", "--", "x"],
        ["--nodes", "2", "--name", "a\nb", "--", "x"],
        ["--nodes", "2", "-o", "/nowhere/x", "--", "x"],
    ],
)
def test_wrong_use_is_told(args, capsys):
    assert main(["cluster", "script", *args]) == 2
    assert "error[usage]" in capsys.readouterr().err
