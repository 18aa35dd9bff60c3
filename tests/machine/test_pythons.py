"""Interpreters: each once, by its real path, with a version that its installer recorded or that it said itself."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.machine.model import UNKNOWN, Machine, PythonInterpreter
from verl_env.machine.pythons import parse_answer, parse_patchlevel, probe_pythons
from verl_env.machine.record import machine_from_json, machine_to_json
from verl_env.machine.roots import Roots
from verl_env.versions import dotted

from .trees import plant, program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from verl_env.machine.model import Known


def probe(root: Path, environ: Mapping[str, str] | None = None, seconds: float = 30) -> Machine:
    environ = {"PATH": "/usr/bin", "HOME": "/home/u"} if environ is None else environ
    return probe_pythons(Roots(root), environ, deadline=time.monotonic() + seconds)


def pairs(machine: Machine) -> list[tuple[str, str]]:
    assert isinstance(machine.pythons, tuple)
    return [(python.version, python.path) for python in machine.pythons]


def answer(
    version: str = "3.12.4", *, kind: str = "cpython", level: str = "final", bits: int = 63, flags: str = "-"
) -> str:
    return f"python {kind} {version} {level} {bits} {flags} /base/bin/python3\n"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (answer(), "3.12.4"),
        (f"a warning of a wrapper\n{answer('3.9.21')}", "3.9.21"),
        (answer(kind="pypy"), None),
        (answer(level="candidate"), None),
        (answer(bits=31), None),
        (answer("3.13.1", flags="t"), None),
        (answer("2.7.18"), None),
        ("Python 3.12.4\n", None),
        ("", None),
    ],
)
def test_answers(text: str, version: str | None) -> None:
    assert parse_answer(text)[0] == version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ('#define PY_VERSION      "3.11.9"\n', "3.11.9"),
        ('/* x */\n#define PY_VERSION              	"3.10.14"\n#define X 1\n', "3.10.14"),
        ('#define PY_VERSION "3.14.0rc2"\n', None),
        ('#define PY_VERSION "3.12.0+"\n', None),
        ("", None),
    ],
)
def test_headers(text: str, version: str | None) -> None:
    assert parse_patchlevel(text) == version


def test_a_managers_record_needs_no_run(tmp_path: Path) -> None:
    path = "/home/u/.pyenv/versions/3.12.4/bin/python"
    program(tmp_path, f"{path}3.12", script='echo ran > "$0.ran"')
    (tmp_path / path.lstrip("/")).symlink_to("python3.12")
    machine = probe(tmp_path)
    assert pairs(machine) == [("3.12.4", f"{path}3.12")]
    assert machine.sources == {"pythons[0]": "pyenv"}
    assert not list(tmp_path.rglob("*.ran"))


def test_a_header_needs_no_run(tmp_path: Path) -> None:
    program(tmp_path, "/usr/bin/python3.11", script='echo ran > "$0.ran"')
    (tmp_path / "usr/bin/python3").symlink_to("python3.11")
    plant(tmp_path, {"/usr/include/python3.11/patchlevel.h": '#define PY_VERSION "3.11.9"\n'})
    machine = probe(tmp_path)
    assert pairs(machine) == [("3.11.9", "/usr/bin/python3.11")]
    assert machine.sources == {"pythons[0]": "/usr/include/python3.11/patchlevel.h"}
    assert not list(tmp_path.rglob("*.ran"))


def test_a_header_of_another_release_is_not_believed(tmp_path: Path) -> None:
    program(tmp_path, "/usr/bin/python3.11", answer("3.11.2"))
    plant(tmp_path, {"/usr/include/python3.11/patchlevel.h": '#define PY_VERSION "3.10.9"\n'})
    assert pairs(probe(tmp_path)) == [("3.11.2", "/usr/bin/python3.11")]


def test_an_interpreter_without_records_is_asked(tmp_path: Path) -> None:
    program(tmp_path, "/usr/bin/python3.12", answer("3.12.4"))
    machine = probe(tmp_path)
    assert pairs(machine) == [("3.12.4", "/usr/bin/python3.12")]
    assert machine.sources == {"pythons[0]": "/usr/bin/python3.12 -c ..."}
    assert machine.problems == ()


@pytest.mark.parametrize(
    "text", [answer(kind="pypy"), answer("3.13.1", flags="t"), answer("3.14.0", level="alpha"), answer("3.8.19")]
)
def test_what_is_of_no_use_is_left_out_silently(text: str, tmp_path: Path) -> None:
    program(tmp_path, "/usr/bin/python3", text)
    machine = probe(tmp_path)
    assert (machine.pythons, machine.problems) == ((), ())


def test_what_does_not_run_is_left_out_and_named(tmp_path: Path) -> None:
    program(tmp_path, "/usr/bin/python3.10", stderr="Traceback\npython3.10: error while loading libpython\n", code=127)
    program(tmp_path, "/usr/bin/python3.11").write_bytes(b"\x7fELF nonsense")
    program(tmp_path, "/usr/bin/python3.12", answer("3.12.4"))
    machine = probe(tmp_path)
    assert pairs(machine) == [("3.12.4", "/usr/bin/python3.12")]
    assert [problem.id for problem in machine.problems] == ["python-broken", "python-broken"]
    assert machine.problems[0].message == "/usr/bin/python3.10 does not run: python3.10: error while loading libpython"


def test_what_hangs_is_left_out_and_named(tmp_path: Path) -> None:
    program(tmp_path, "/usr/bin/python3.10", script="exec sleep 60")
    program(tmp_path, "/usr/bin/python3.12", answer("3.12.4"))
    machine = probe(tmp_path, seconds=1)
    assert pairs(machine) == [("3.12.4", "/usr/bin/python3.12")]
    assert [problem.id for problem in machine.problems] == ["python-broken"]


def test_each_interpreter_counts_once(tmp_path: Path) -> None:
    program(tmp_path, "/usr/bin/python3.12", answer("3.12.4"))
    (tmp_path / "usr/bin/python3").symlink_to("python3.12")
    (tmp_path / "bin").symlink_to("usr/bin")
    assert pairs(probe(tmp_path, {"PATH": "/bin:/usr/bin"})) == [("3.12.4", "/usr/bin/python3.12")]


def test_the_order_is_by_release_and_the_newest_patch_first(tmp_path: Path) -> None:
    for version in ("3.9.18", "3.10.2", "3.10.14", "3.13.1", "3.12.10", "3.12.9", "3.15.0", "3.8.20"):
        program(tmp_path, f"/home/u/.pyenv/versions/{version}/bin/python")
    program(tmp_path, "/home/u/.asdf/installs/python/3.12.9/bin/python3")
    machine = probe(tmp_path)
    assert [version for version, _ in pairs(machine)] == [
        "3.9.18", "3.10.14", "3.10.2", "3.12.10", "3.12.9", "3.12.9", "3.13.1",
    ]  # fmt: skip


def test_a_virtual_environment_of_links_is_its_base(tmp_path: Path) -> None:
    program(tmp_path, "/usr/bin/python3.12", answer("3.12.4"))
    plant(tmp_path, {"/venv/pyvenv.cfg": "home = /usr/bin\nversion = 3.12.4\n", "/venv/bin/": ""})
    (tmp_path / "venv/bin/python3").symlink_to("../../usr/bin/python3.12")
    assert pairs(probe(tmp_path, {"PATH": "/venv/bin"})) == [("3.12.4", "/usr/bin/python3.12")]


def test_a_virtual_environment_of_copies_is_its_base(tmp_path: Path) -> None:
    program(tmp_path, "/usr/bin/python3.12", answer("3.12.4"))
    program(tmp_path, "/venv/bin/python3.12", answer("3.12.4"))
    plant(tmp_path, {"/venv/pyvenv.cfg": "include-system-site-packages = false\nhome = /usr/bin\n"})
    assert pairs(probe(tmp_path, {"PATH": "/venv/bin"})) == [("3.12.4", "/usr/bin/python3.12")]


@pytest.mark.parametrize("config", ["home = /gone\n", "version = 3.12\n", "home = relative\n", "home = /venv/bin\n"])
def test_a_virtual_environment_without_a_base_is_left_out(config: str, tmp_path: Path) -> None:
    program(tmp_path, "/venv/bin/python3.12", answer("3.12.4"))
    plant(tmp_path, {"/venv/pyvenv.cfg": config})
    machine = probe(tmp_path, {"PATH": "/venv/bin"})
    assert (machine.pythons, machine.problems) == ((), ())


def test_a_link_out_of_the_root_is_left_out(tmp_path: Path) -> None:
    plant(tmp_path / "root", {"/usr/bin/": ""})
    (tmp_path / "root/usr/bin/python3").symlink_to(sys.executable)
    assert probe(tmp_path / "root").pythons == ()


@pytest.mark.parametrize(
    ("files", "venv", "headers"),
    [
        ({}, UNKNOWN, UNKNOWN),
        ({"/usr/lib/python3.12/os.py": ""}, False, False),
        ({"/usr/lib64/python3.12/os.py": "", "/usr/lib64/python3.12/ensurepip/__init__.py": ""}, True, False),
        ({"/usr/lib/python3.12/os.py": "", "/usr/include/python3.12/Python.h": ""}, False, True),
    ],
)
def test_what_is_beside_an_interpreter(
    files: dict[str, str], venv: Known[bool], headers: Known[bool], tmp_path: Path
) -> None:
    program(tmp_path, "/usr/bin/python3.12", answer("3.12.4"))
    plant(tmp_path, files)
    assert probe(tmp_path).pythons == (PythonInterpreter("3.12.4", "/usr/bin/python3.12", venv, headers),)


def test_a_running_interpreter_is_understood(tmp_path: Path) -> None:
    script = f'exec "{sys.executable}" "$@"'
    program(tmp_path, "/usr/bin/python3", script=script)
    versions = [version for version, _ in pairs(probe(tmp_path))]
    expected = "{}.{}.{}".format(*sys.version_info)
    assert versions == ([expected] if sys.version_info.releaselevel == "final" else [])


def test_variables_for_python_do_not_reach_it(tmp_path: Path) -> None:
    program(tmp_path, "/usr/bin/python3", script=f'exec "{sys.executable}" "$@"')
    environ = {"PATH": "/usr/bin", "PYTHONHOME": "/nowhere", "PYTHONSTARTUP": "/nowhere", "PYTHONPATH": str(tmp_path)}
    assert len(pairs(probe(tmp_path, environ))) == (sys.version_info.releaselevel == "final")


def test_this_host_gives_an_answer() -> None:
    machine = probe_pythons(Roots(), os.environ)
    for version, path in pairs(machine):
        assert 9 <= dotted(version)[1] <= 14
        assert os.path.realpath(path) == path


def test_what_is_found_can_be_recorded(tmp_path: Path) -> None:
    program(tmp_path, "/usr/bin/python3.12", answer("3.12.4"))
    machine = probe(tmp_path)
    again = machine_from_json(machine_to_json(machine))
    assert (again.pythons, again.sources) == (machine.pythons, machine.sources)


@given(st.text())
def test_any_text_is_a_version_or_none(text: str) -> None:
    assert parse_answer(text)[0] is None or "cpython" in text
    assert parse_patchlevel(text) is None or "PY_VERSION" in text


@given(st.integers(0, 60), st.integers(0, 60))
def test_cut_and_joined_answers_give_no_other_version(start: int, end: int) -> None:
    text = answer("3.12.4")
    assert parse_answer(text[start:] + "\n" + text[:end])[0] in {None, "3.12.4"}
