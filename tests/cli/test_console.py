"""What is shown fits the stream it goes to."""

import io
import json

import pytest

from verl_env.cli import console


class Stream(io.TextIOWrapper):
    def __init__(self, encoding, *, terminal):
        super().__init__(io.BytesIO(), encoding=encoding)
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.mark.parametrize(
    ("encoding", "shows"), [("utf-8", True), ("UTF-8", True), ("ascii", False), ("latin-1", False)]
)
def test_unicode_only_where_the_stream_can(encoding, shows):
    assert console.unicode_ok(Stream(encoding, terminal=True)) is shows


def test_a_stream_without_an_encoding_is_ascii():
    assert not console.unicode_ok(io.StringIO())


def test_json_is_one_line_for_a_program(capsys):
    console.print_json({"schema": 1, "list": [1, 2]})
    assert capsys.readouterr().out == '{"schema": 1, "list": [1, 2]}\n'


def test_json_is_indented_at_a_terminal(monkeypatch):
    stream = Stream("utf-8", terminal=True)
    monkeypatch.setattr("sys.stdout", stream)
    console.print_json({"schema": 1})
    stream.flush()
    shown = stream.buffer.getvalue().decode()
    assert shown == '{\n  "schema": 1\n}\n'
    assert json.loads(shown) == {"schema": 1}


@pytest.mark.parametrize(("variable", "coloured"), [("NO_COLOR", False), ("FORCE_COLOR", True)])
def test_colour_can_be_forced_and_forbidden(monkeypatch, variable, coloured):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(variable, "1")
    stream = Stream("utf-8", terminal=variable == "NO_COLOR")
    monkeypatch.setattr("sys.stderr", stream)
    console.stderr_console().print("[red]word[/]")
    stream.flush()
    assert ("\x1b[31m" in stream.buffer.getvalue().decode()) is coloured
