"""The entry point: exit codes, worded errors, no traceback."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from verl_env import __version__
from verl_env.cli import main as cli
from verl_env.cli.examples import EXAMPLES
from verl_env.cli.parser import build_parser
from verl_env.errors import VerlEnvError


class RefusedError(VerlEnvError):
    id = "refused-for-the-test"
    message = "the [bold]disk[/] is full"
    hint = "free 3 GB: rm -r ~/.cache/uv"


def failing(error):
    def run(args):
        raise error

    return run


@pytest.fixture
def command(monkeypatch):
    """Replaces what a command does; its arguments stay."""

    def replace(run):
        monkeypatch.setattr("verl_env.cli.maintain.completion.main", run)
        return ["completion", "bash"]

    return replace


def test_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"verl-env {__version__}\n"


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert all(name in shown and line.split()[0] in shown for name, line in cli.COMMANDS.items())


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_each_command_has_a_help_of_its_own(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main([name, "--help"])
    assert stopped.value.code == 0
    assert f"verl-env {name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_each_command_has_examples_that_its_parser_takes(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    with pytest.raises(SystemExit):
        cli.main([name, "--help"])
    shown = capsys.readouterr().out
    assert EXAMPLES[name]
    for line, purpose in EXAMPLES[name]:
        assert f"  {line}\n      {purpose}\n" in shown
        words = shlex.split(line.partition(" > ")[0])
        assert words[:2] == ["verl-env", name]
        args = build_parser([name]).parse_args(words[1:])
        assert args.command == name


@pytest.mark.parametrize(
    ("argv", "error_id", "part"),
    [
        ([], "usage", "COMMAND"),
        (["plann"], "command-unknown", "did you mean: verl-env plan"),
        (["xyzzy"], "command-unknown", "verl-env --help"),
        (["plan"], "usage", "--stack"),
        (["completion", "cmd.exe"], "usage", "cmd.exe"),
        (["--stack", "vllm"], "command-unknown", "vllm"),
    ],
)
def test_wrong_use_is_exit_code_2(argv, error_id, part, capsys):
    assert cli.main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"error[{error_id}]" in captured.err
    assert part in captured.err
    assert "Traceback" not in captured.err


def test_an_error_is_shown_with_id_message_and_hint(command, capsys):
    assert cli.main(command(failing(RefusedError()))) == 1
    assert capsys.readouterr().err == (
        "error[refused-for-the-test]: the [bold]disk[/] is full\nhint: free 3 GB: rm -r ~/.cache/uv\n"
    )


def test_with_json_the_error_is_on_stdout_too(monkeypatch, capsys):
    monkeypatch.setattr("verl_env.machine.probe.probe", lambda **_: failing(RefusedError())(None))
    assert cli.main(["probe", "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {
        "schema": 1,
        "error": {"id": "refused-for-the-test", "message": RefusedError.message, "hint": RefusedError.hint},
    }
    assert "error[refused-for-the-test]" in captured.err


def test_a_defect_is_an_internal_fault_without_traceback(command, capsys, monkeypatch):
    monkeypatch.delenv("VERL_ENV_DEBUG", raising=False)
    assert cli.main(command(failing(ZeroDivisionError("by zero")))) == 2
    shown = capsys.readouterr().err
    assert "error[internal-fault]: verl-env itself failed (ZeroDivisionError: by zero)" in shown
    assert "VERL_ENV_DEBUG=1" in shown
    assert "Traceback" not in shown


def test_a_defect_shows_its_traceback_when_asked(command, capsys, monkeypatch):
    monkeypatch.setenv("VERL_ENV_DEBUG", "1")
    assert cli.main(command(failing(ZeroDivisionError("by zero")))) == 2
    assert "Traceback" in capsys.readouterr().err


def test_interruption(command):
    assert cli.main(command(failing(KeyboardInterrupt()))) == 130


def test_a_closed_pipe_is_no_error():
    code = "import sys; from verl_env.cli.main import run; sys.argv = ['verl-env', 'completion', 'bash']; run()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait() in {0, 120}


@pytest.mark.parametrize("argv", [["probe", "--json"], ["completion", "bash"]])
def test_output_that_cannot_be_written_is_an_error_without_traceback(argv):
    code = f"import sys; from verl_env.cli.main import run; sys.argv = ['verl-env', *{argv!r}]; run()"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode != 0
    assert b"Traceback" not in done.stderr


def test_starting_imports_no_command_and_nothing_heavy():
    code = "import sys, verl_env.cli.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"rich", "packaging", "subprocess", "dataclasses", "verl_env.cli.plan"} & set(loaded)


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["completion", "bash"]])
def test_a_reader_who_has_gone_is_no_fault_and_a_full_disk_is(words):
    argv = [sys.executable, "-I", "-m", "verl_env", *words]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(argv, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert b"Exception" not in done.stderr


def test_a_process_without_memory_says_so(command, capsys):
    assert cli.main(command(failing(MemoryError()))) == 2
    assert "error[memory-exhausted]" in capsys.readouterr().err
