"""Whatever names a file or a directory: what is there instead is said by name, and nothing else is complained of."""

import pytest

from verl_env.cli.main import main

INSTALL = ("install", "--into", "{room}/env")
PLANNED = (*INSTALL, "--stack", "vllm", "--gpu", "h100", "--driver", "550.54.15", "--native", "skip", "--dry-run")
#: Command lines that want a directory, and those that want a file; ``{}`` stands for what is named.
DIRECTORIES = [
    (*INSTALL, "--offline", "--wheelhouse", "{}"),
    (*PLANNED, "--offline", "--wheelhouse", "{}"),
    (*PLANNED, "--verl-source", "{}"),
    ("bundle", "--verify", "{}"),
    ("bundle", "--list", "{}"),
    ("doctor", "--into", "{}"),
    ("report", "--into", "{}"),
    ("verify", "--into", "{}"),
    ("find", "flash-attn", "--into", "{}"),
    ("run", "--into", "{}", "--", "true"),
    ("pack", "{}", "-o", "{room}/out.squashfs"),
    ("module", "{}"),
    ("patches", "list", "--into", "{}"),
    ("history", "--into", "{}"),
    ("rollback", "--into", "{}"),
    ("remove", "{}", "--yes"),
    ("diff", "{}", "verl0.9.1-cu130/uv.vllm"),
    ("lock", "--measure", "{}"),
]
FILES = [
    ("plan", "--stack", "vllm", "--machine", "{}"),
    ("doctor", "--report", "{}"),
    ("doctor", "--lock", "{}"),
    ("doctor", "--requirements", "{}"),
    ("unpack", "{}", "{room}/out"),
    ("mount", "{}", "{room}/out"),
    ("lock", "--new", "{}"),
    ("facts", "check", "--pci-ids", "{}"),
    ("facts", "check", "--drivers", "{}"),
]
NOTHING = ("not there", "no environment at", "nothing of that name", "No such file")


def said(capsys, words, named, room):
    """What a command line says of what it names; it must be refused, and leave nothing."""
    code = main([word.format(named, room=room) for word in words])
    out = capsys.readouterr().err
    assert code in {1, 2}, out
    assert sorted(path.name for path in room.iterdir()) == ["empty", "file"]
    return next(line for line in out.splitlines() if line.startswith("error["))


@pytest.fixture
def room(tmp_path):
    room = tmp_path / "room"
    (room / "empty").mkdir(parents=True)
    (room / "file").write_text("no word of sense\n")
    return room


@pytest.mark.parametrize("words", [*DIRECTORIES, *FILES], ids=" ".join)
def test_what_is_not_there_is_named(words, room, capsys):
    line = said(capsys, words, room / "gone", room)
    assert "room/gone" in line
    assert any(word in line for word in NOTHING), line


@pytest.mark.parametrize("words", DIRECTORIES, ids=" ".join)
def test_a_file_where_a_directory_is_wanted_is_named(words, room, capsys):
    line = said(capsys, words, room / "file", room)
    assert "room/file" in line
    assert any(word in line for word in ("a file", "no tar file")), line


@pytest.mark.parametrize("words", DIRECTORIES, ids=" ".join)
def test_an_empty_directory_is_named(words, room, capsys):
    line = said(capsys, words, room / "empty", room)
    assert "room/empty" in line
    assert "say what to install" not in line


@pytest.mark.parametrize("words", FILES, ids=" ".join)
def test_a_directory_where_a_file_is_wanted_is_named(words, room, capsys):
    line = said(capsys, words, room / "empty", room)
    assert "room/empty" in line
    assert "irectory" in line, line
