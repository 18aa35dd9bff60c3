import json

import pytest

from tests.install.plans import PYTHON
from verl_env.environment.installed import Distribution, installed, normalise, site_packages


def add(site, folder, *, metadata=True, direct_url=None):
    (site / folder).mkdir(parents=True)
    if metadata:
        (site / folder / "METADATA").write_text("")
    if direct_url is not None:
        text = direct_url if isinstance(direct_url, str) else json.dumps(direct_url)
        (site / folder / "direct_url.json").write_text(text)


def test_where_packages_are(tmp_path):
    assert site_packages(tmp_path, PYTHON) == tmp_path / "lib" / f"python{PYTHON}" / "site-packages"


def test_names_and_versions_come_from_the_folders(tmp_path):
    add(tmp_path, "Jinja2-3.1.6.dist-info")
    add(tmp_path, "ruamel.yaml-0.18.dist-info")
    add(tmp_path, "torch-2.6.0+cu124.dist-info")
    (tmp_path / "torch").mkdir()
    (tmp_path / "six.py").write_text("")
    found = installed(tmp_path)
    assert {name: have.version for name, have in found.items()} == {
        "jinja2": "3.1.6",
        "ruamel-yaml": "0.18",
        "torch": "2.6.0+cu124",
    }
    assert all(have.whole and have.origin is None for have in found.values())


@pytest.mark.parametrize(
    ("data", "origin", "editable"),
    [
        ({"url": "https://h/a.whl", "archive_info": {}}, "https://h/a.whl", False),
        ({"url": "file:///src/verl", "dir_info": {"editable": True}}, "file:///src/verl", True),
        ({"url": "file:///src/verl", "dir_info": {}}, "file:///src/verl", False),
        ("{", "an address that cannot be read", False),
        ("[]", "an address that cannot be read", False),
        ({"url": "u", "dir_info": None}, "an address that cannot be read", False),
    ],
)
def test_where_one_came_from(tmp_path, data, origin, editable):
    add(tmp_path, "verl-0.4.dist-info", direct_url=data)
    have = installed(tmp_path)["verl"]
    assert (have.origin, have.editable) == (origin, editable)


@pytest.mark.parametrize(
    ("folders", "whole"),
    [
        ({"a-1.dist-info": True}, True),
        ({"a-1.dist-info": False}, False),
        ({"a-1.egg-info": True}, False),
        ({"a-1.dist-info": True, "a-2.dist-info": True}, False),
    ],
)
def test_what_is_half_there_is_not_whole(tmp_path, folders, whole):
    for folder, metadata in folders.items():
        add(tmp_path, folder, metadata=metadata)
    assert installed(tmp_path)["a"].whole is whole


def test_no_directory_holds_nothing(tmp_path):
    assert installed(tmp_path / "none") == {}


@pytest.mark.parametrize(("name", "normal"), [("Foo.Bar_baz", "foo-bar-baz"), ("a--b", "a-b"), ("x", "x")])
def test_names_compare_in_one_form(name, normal):
    assert normalise(name) == normal


def test_a_distribution_is_whole_unless_stated(tmp_path):
    assert Distribution("a", "1", "/f").whole
