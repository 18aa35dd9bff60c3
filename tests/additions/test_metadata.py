"""Metadata of packages: what is met, what is broken, what reaches what."""

import pytest

from tests.install.environments import Environment
from tests.install.plans import PYTHON
from verl_env.additions.metadata import broken, met, needed_by, reachable, read_metadata, write_metadata
from verl_env.additions.model import Cause
from verl_env.environment.installed import installed
from verl_env.environment.metadata import Metadata


def package(name, version, *requires, extras=()):
    return Metadata(name, version, requires, tuple(extras))


PACKAGES = {
    each.name: each
    for each in (
        package("engine", "0.8", "torch==2.6.0", "numpy<2", "gone>3", "ray[tune]; extra == 'more'", extras=["more"]),
        package("torch", "2.6.0+cu124", "numpy"),
        package("numpy", "1.26.4"),
        package("thing", "1.0", "Engine_X; python_version < '3'", "engine", "not a requirement"),
    )
}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("torch==2.6.0", True),
        ("numpy>=2", False),
        ("gone", False),
        ("gone; python_version < '3'", True),
        ("gone; extra == 'x'", True),
        ("gone; sys_platform == 'win32'", True),
        ("torch>=2.6.0rc1", True),
        ("Numpy", True),
        ("not a requirement", False),
    ],
)
def test_whether_a_requirement_is_met(line, expected):
    versions = {name: each.version for name, each in PACKAGES.items()}
    assert met(line, versions, PYTHON) is expected


def test_a_marker_is_of_the_python_of_the_environment():
    assert not met("gone; python_version < '3.11'", {}, "3.10")
    assert met("gone; python_version < '3.11'", {}, "3.12")


def test_unmet_requirements_of_the_lock_are_left_out_and_nothing_else(tmp_path):
    write_metadata(tmp_path, PACKAGES, PYTHON, {"engine", "torch", "numpy"})
    found = read_metadata(installed(tmp_path))
    assert found["engine"] == package(
        "engine", "0.8", "torch==2.6.0", "numpy<2", "ray[tune]; extra == 'more'", extras=["more"]
    )
    assert {name: found[name] for name in ("torch", "numpy", "thing")} == {
        name: PACKAGES[name] for name in ("torch", "numpy", "thing")
    }


def test_metadata_that_cannot_be_read_is_left_out(tmp_path):
    environment = Environment(tmp_path / "e")
    environment.add("whole")
    (environment.add("broken") / "METADATA").unlink()
    assert list(read_metadata(installed(environment.site))) == ["whole"]


def test_a_licence_of_many_lines_hides_nothing(tmp_path):
    environment = Environment(tmp_path / "e")
    file = environment.add("long") / "METADATA"
    licence = "License: Apache\n        Version 2.0: text\n        \n        Requires-Dist: none\n"
    file.write_text(f"Name: long\nVersion: 1.0\n{licence}Requires-Dist: other\n\nRequires-Dist: description\n")
    assert read_metadata(installed(environment.site)) == {"long": package("long", "1.0", "other")}


def test_what_a_change_breaks_is_said_of_what_was_whole():
    after = {"engine": "0.8", "torch": "2.7.0", "numpy": "1.26.4", "thing": "1.0"}
    assert list(broken(PACKAGES, after, PYTHON)) == ["engine 0.8 requires torch==2.6.0"]
    assert list(broken(PACKAGES, after | {"engine": "0.9"}, PYTHON)) == []


def test_what_is_reached():
    assert reachable(PACKAGES, ["thing"], PYTHON) == {"thing", "engine", "torch", "numpy"}
    assert reachable(PACKAGES, ["numpy", "gone"], PYTHON) == {"numpy"}


def test_who_needs_what():
    pins = {"torch": "2.6.0", "numpy": "1.26.4", "thing": "1.0"}
    assert needed_by(PACKAGES, pins, PYTHON) == (
        Cause("torch", "2.6.0", "engine 0.8", "torch==2.6.0"),
        Cause("numpy", "1.26.4", "engine 0.8", "numpy<2"),
    )
