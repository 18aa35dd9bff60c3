"""What is said fits 80 columns: no word is broken, and every command stays on one line, so that it can be copied."""

import contextlib
import importlib.util
import io
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from verl_env.cli import console
from verl_env.cli.list import show_process
from verl_env.cli.main import main
from verl_env.command_line import one_line
from verl_env.environment.running import Process

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)

VALUE = "a value of several words, as long ones are"
H100 = ("--gpu", "h100:8", "--driver", "550.54.15")
SAID = {
    "plan": ("plan", "--stack", "vllm", *H100),
    "plan, explained": ("plan", "--stack", "vllm", *H100, "--explain"),
    "refused": ("plan", "--stack", "vllm", "--gpu", "v100:8", "--driver", "470.1"),
    "refused, explained": ("plan", "--stack", "vllm", "--gpu", "p100", "--driver", "535.54.03", "--explain"),
    "native": ("plan", "--stack", "vllm", *H100, "--native", "prebuilt", "--with", "apex"),
    "wish": ("plan", "--stack", "vllm", *H100, "--with", "torch >= 99"),
    "misspelt": ("plan", "--stack", "vlm", *H100),
    "lockset": ("plan", "--stack", "vllm", "--lockset", "uv.vlm"),
    "no command": ("instal",),
    "no environment": ("run", "--into", "/nowhere/at all", "--", "python"),
    "history": ("history", "--into", "/nowhere/at all"),
    "patches": ("patches", "list", "--into", "/nowhere/at all"),
}


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """What a call says on a terminal of 80 columns."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "80")

    def shown(say, *args):
        stream = Terminal()
        with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
            say(*args)
        return re.sub(r"\x1b\[[\d;]*m", "", stream.getvalue())

    return shown


def too_long(text):
    """The lines that a terminal would break, but those that are one word or one command behind their indentation."""
    whole = re.compile(r"[^a-z\[]*(?:\S+|(?:verl-env|uv|pip|python3?|sudo|export|mv) .*|`[^`]+`\S*|\S+: verl-env .*)")
    return [line for line in text.splitlines() if len(line) > 80 and not whole.fullmatch(line)]


@pytest.mark.parametrize("error", sorted(build.error_classes(), key=lambda error: error.id), ids=lambda error: error.id)
def test_every_error_fits(error, terminal):
    def worded(text):
        return re.sub(r"\{[^}]*\}", VALUE, text)

    hint = worded(error.helps) if error.helps else None
    error = SimpleNamespace(id=error.id, message=worded(error.says or error.id), hint=hint)
    said = terminal(console.print_error, error)
    assert not too_long(said)
    for command in re.findall(r"(?<=: )verl-env .*$", f"{error.message}\n{hint}", re.MULTILINE):
        assert command in said


@pytest.mark.parametrize("words", SAID.values(), ids=SAID)
def test_what_commands_say_fits(words, terminal):
    said = terminal(main, words)
    assert said
    assert not too_long(said)


def test_a_command_in_a_sentence_is_not_broken(terminal):
    command = "verl-env install --stack vllm --lockset verl0.4/app.vllm --into '/a directory/with a long name'"
    error = SimpleNamespace(id="x", message=f"{VALUE} {VALUE}", hint=f"{VALUE}, and then: {command}")
    assert command in terminal(console.print_error, error).splitlines()


def test_without_a_terminal_nothing_is_broken(capsys):
    console.print_error(SimpleNamespace(id="x", message=VALUE * 9, hint=None))
    assert capsys.readouterr().err == f"error[x]: {VALUE * 9}\n"


def test_a_path_or_command_with_line_ends_has_one_line():
    assert one_line("/a\nb\tc\x1b") == "/a\\nb\\tc\\x1b"
    assert "\n" not in show_process(Process(pid=1, user="u", command="a\nb", generation="0001"))
