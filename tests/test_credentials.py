"""Passwords in addresses reach no record, history, manifest, log or error."""

import io

from verl_env.builds.workshop import _Lines
from verl_env.bundle.manifest import to_bytes
from verl_env.bundle.model import Manifest, NativeWay, Planned
from verl_env.credentials import without_credentials, without_credentials_in
from verl_env.environment.history import Entry, read_entries, write_entries
from verl_env.environment.state import Extra, State, read_state, write_state
from verl_env.errors import UsageError, VerlEnvError
from verl_env.installers.failures import AddressUnavailableError
from verl_env.settings.mirrors import both

SECRET = "hunter22x"
URL = f"https://me:{SECRET}@host/a-1.0.whl?sig={SECRET}&v=1"


def test_an_address_keeps_all_but_its_credentials():
    assert without_credentials(URL) == "https://host/a-1.0.whl?v=1"
    assert without_credentials("ssh://git@host/x.git") == "ssh://git@host/x.git"
    assert without_credentials_in({"a": [URL], "b": 1}) == {"a": ["https://host/a-1.0.whl?v=1"], "b": 1}
    assert SECRET not in both(URL, URL.replace("host", "mirror"))


def test_the_record_of_an_environment(tmp_path):
    extras = (Extra("a", "1.0", origin=URL, wish=f"a @ {URL}"),)
    write_state(
        tmp_path,
        State("/e", "l", "s", "3.11", "d" * 64, URL, {"x": URL}, (), ways={"x": URL}, extras=extras, barred={"y": URL}),
    )
    assert SECRET not in (tmp_path / "verl-env.json").read_text()
    assert read_state(tmp_path).extras[0].origin == "https://host/a-1.0.whl?v=1"
    assert read_state(tmp_path).digest == "d" * 64


def test_the_history_of_one(tmp_path):
    command = f"pip install {URL} --token {SECRET}"
    entry = Entry("2026-11-28T00:00:00+00:00", "me@h", command, None, None, "0001", None, ({"new": f"1 (from {URL})"},))
    write_entries(tmp_path / "history.json", [entry])
    assert SECRET not in (tmp_path / "history.json").read_text()
    assert read_entries(tmp_path / "history.json", "0001")[0].generation == "0001"


def test_the_manifest_of_a_bundle():
    natives = (NativeWay("a", "1", "build", f"git+{URL}"),)
    plan = Planned("s", "l", "3.11", "x86_64", "0" * 64, 1, 1, natives=natives, wishes=(URL,), extras=(URL,))
    text = to_bytes(Manifest((), (plan,), "0.1", ())).decode()
    assert SECRET not in text
    assert "0" * 64 in text


def test_a_log_gets_whole_lines_without_them():
    log = io.BytesIO()
    lines = _Lines(log)
    for piece in (b"fatal: unable to access 'https://me:hunt", b"er22x@host/'\nAPI_KEY=hunter2", b"2x\nlast ", b"line"):
        lines.write(piece)
    lines.end()
    assert log.getvalue() == b"fatal: unable to access 'https://USER:PASSWORD@host/'\nAPI_KEY=TOKEN\nlast line"


def test_errors_of_every_way_of_wording():
    class WordedError(VerlEnvError):
        id = "worded"
        url: str

        @property
        def message(self):
            return f"not {self.url}"

        @property
        def hint(self):
            return f"try {self.url}"

    for error in (
        WordedError(URL),
        UsageError(f"no {URL}", command="x"),
        AddressUnavailableError(URL, URL, f"says {URL}"),
    ):
        assert SECRET not in f"{error} {error.message} {error.hint} {error.to_json()}"
