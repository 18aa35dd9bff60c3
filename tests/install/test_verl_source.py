import pytest

from tests.install.plans import plan
from verl_env.install.errors import VerlSourceInvalidError
from verl_env.install.verl_source import check_verl_source, needs_isolation
from verl_env.locksets.model import Package


def checkout(path, *, package=True, build="setup.py", text=""):
    path.mkdir()
    if package:
        (path / "verl").mkdir()
        (path / "verl" / "__init__.py").write_text("")
    if build:
        (path / build).write_text(text)
    return path


@pytest.mark.parametrize("build", ["setup.py", "pyproject.toml"])
def test_a_checkout_is_known_by_its_package_and_its_build_file(tmp_path, build):
    path = checkout(tmp_path / "verl-src", build=build)
    assert check_verl_source(path) == str(path)


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        (None, "it is not there"),
        ({"package": False}, "it has no verl/__init__.py"),
        ({"build": None}, "it has neither pyproject.toml nor setup.py"),
    ],
)
def test_what_is_no_checkout(tmp_path, parts, reason):
    path = tmp_path / "verl-src"
    if parts is not None:
        checkout(path, **parts)
    with pytest.raises(VerlSourceInvalidError) as caught:
        check_verl_source(path)
    assert caught.value.reason == reason
    assert caught.value.exit_code == 2


def locked(**versions):
    return plan([Package(name, version, ()) for name, version in versions.items()])


@pytest.mark.parametrize(
    ("text", "lock", "isolated"),
    [
        ("", {"setuptools": "79.0.1"}, False),
        ('[build-system]\nbuild-backend = "setuptools.build_meta"\n', {"setuptools": "79.0.1"}, False),
        ('[build-system]\nbuild-backend = "hatchling.build"\n', {"setuptools": "79.0.1"}, True),
        ("", {"setuptools": "65.5.0"}, True),
        ("", {"setuptools": "65.5.0", "wheel": "0.45"}, False),
        ("", {"setuptools": "59.0"}, True),
        ("", {}, True),
    ],
)
def test_nothing_is_fetched_where_the_lock_can_build_it(tmp_path, text, lock, isolated):
    path = checkout(tmp_path / "verl-src", build="pyproject.toml", text=text)
    assert needs_isolation(str(path), locked(**lock)) is isolated


def test_a_checkout_with_setup_py_alone_is_built_by_setuptools(tmp_path):
    assert not needs_isolation(str(checkout(tmp_path / "verl-src")), locked(setuptools="80.9.0"))
