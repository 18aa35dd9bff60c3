"""What verl-env needs on another host, for Pythons other than the one that bundles."""

import pytest
from packaging.requirements import Requirement

from verl_env.bundle import tool
from verl_env.bundle.tool import PYTHONS, served, tool_wanted
from verl_env.locksets.index import Index
from verl_env.locksets.target import LockTarget


class House:
    """An index of files, a page for each project."""

    def __init__(self, root):
        self.root = root

    def add(self, project, version, requires=""):
        page = self.root / project / "index.html"
        page.parent.mkdir(exist_ok=True)
        name = f"{project.replace('-', '_')}-{version}-py3-none-any.whl"
        said = f' data-requires-python="{requires.replace(">", "&gt;")}"' if requires else ""
        with page.open("a") as file:
            file.write(f'<a href="{name}"{said}>{name}</a>\n')


@pytest.fixture
def house(tmp_path, monkeypatch):
    """The tool needs one project, of which version 4 is installed here."""
    monkeypatch.setattr(tool, "_installed", {tool.NAME: "0.1", "locker": "4.0"}.get)
    monkeypatch.setattr(tool, "_requires", lambda name, *_: [Requirement("locker>=3")] if name == tool.NAME else [])
    return House(tmp_path)


def wanted(house, *pythons):
    return tool_wanted([LockTarget(python, "x86_64", "2.28") for python in pythons], Index(house.root.as_uri()))


def test_a_python_that_the_version_here_is_not_for_gets_an_older_one(house):
    house.add("locker", "3.9", ">=3.8")
    house.add("locker", "4.0", ">=3.11")
    found = wanted(house, "3.10", "3.12")
    assert [(each.target.python, each.name, each.version) for each in found] == [
        ("3.10", "locker", "3.9"),
        ("3.12", "locker", "4.0"),
    ]


def test_a_python_that_none_is_for_is_not_served(house):
    house.add("locker", "4.0", ">=3.11")
    assert served(wanted(house, *PYTHONS)) == ("3.11", "3.12", "3.13", "3.14")
