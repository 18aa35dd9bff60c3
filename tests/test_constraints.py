"""Where the data is found, and TOML on every Python."""

import pytest

from verl_env import constraints
from verl_env.constraints import constraints_directory, parse_toml


def test_the_variable_points_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("VERL_ENV_CONSTRAINTS", str(tmp_path))
    assert constraints_directory() == tmp_path


def test_inside_an_installed_package_its_own_directory_is_taken(tmp_path, monkeypatch):
    monkeypatch.delenv("VERL_ENV_CONSTRAINTS", raising=False)
    inside = tmp_path / "verl_env" / "constraints"
    inside.mkdir(parents=True)
    monkeypatch.setattr(constraints, "__file__", str(tmp_path / "verl_env" / "constraints.py"))
    assert constraints_directory() == inside


def test_a_checkout_has_it_beside_the_package(tmp_path, monkeypatch):
    monkeypatch.delenv("VERL_ENV_CONSTRAINTS", raising=False)
    monkeypatch.setattr(constraints, "__file__", str(tmp_path / "verl_env" / "constraints.py"))
    assert constraints_directory() == tmp_path / "constraints"


def test_toml_is_read(tmp_path):
    file = tmp_path / "a.toml"
    file.write_text('name = "é"\n[table]\nlist = [1, 2]\n')
    assert parse_toml(file) == {"name": "é", "table": {"list": [1, 2]}}


@pytest.mark.parametrize("content", [b"= 1", b"\xff"])
def test_what_is_no_toml_is_a_value_error(tmp_path, content):
    file = tmp_path / "a.toml"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"."):
        parse_toml(file)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match=r"a\.toml"):
        parse_toml(tmp_path / "a.toml")
