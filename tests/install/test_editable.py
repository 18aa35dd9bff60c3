"""A checkout of verl in place of its release."""

import subprocess

import pytest

from tests.install.plans import Recorder, check, lockset, options, plan
from tests.install.whole.test_run import have
from tests.rounds import EITHER
from verl_env.environment.history import Change
from verl_env.environment.target import open_target
from verl_env.install.run import install

#: Stands for setuptools: builds the checkout in the directory that it runs in, editable.
BACKEND = """
import os
import zipfile


def get_requires_for_build_editable(config_settings=None):
    return []


def build_editable(directory, config_settings=None, metadata_directory=None):
    name = "verl-0.9.0.dev0-py3-none-any.whl"
    with zipfile.ZipFile(f"{directory}/{name}", "w") as archive:
        info = "verl-0.9.0.dev0.dist-info"
        archive.writestr("__editable__.verl.pth", os.getcwd())
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: verl\\nVersion: 0.9.0.dev0\\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        files = ["__editable__.verl.pth", f"{info}/METADATA", f"{info}/WHEEL", f"{info}/RECORD"]
        archive.writestr(f"{info}/RECORD", "".join(f"{file},,\\n" for file in files))
    return name
"""


@pytest.fixture
def checkout(tmp_path):
    path = tmp_path / "my verl"
    (path / "verl").mkdir(parents=True)
    (path / "verl" / "__init__.py").write_text("__version__ = 'mine'\n")
    (path / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools", "wheel"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "verl"\ndynamic = ["version"]\n'
    )
    return path


@pytest.fixture(params=EITHER)
def go(request, tmp_path, house, target_path, checkout):
    """Installs with or without the checkout."""
    packages = [
        house.add("setuptools", "79.0.1", {"setuptools/__init__.py": "", "setuptools/build_meta.py": BACKEND}),
        house.add("verl", "0.4.1", {"verl/__init__.py": "__version__ = '0.4.1'\n"}),
    ]
    lock = lockset(checks=(check("verl", "import verl; assert verl.__version__ == '0.4.1'"),))
    settings = options(tmp_path, offline=True, wheelhouse=house.path, installer=request.param)

    def go(**more):
        return install(plan(packages, lock=lock, **more), open_target(target_path), settings, Recorder())

    return go


def version(path):
    return subprocess.check_output([path / "bin" / "python", "-c", "import verl; print(verl.__version__)"], text=True)


def test_from_the_release_to_a_checkout_and_back_with_nothing_fetched(go, target_path, checkout):
    go()
    assert version(target_path) == "0.4.1\n"
    address = checkout.as_uri()
    outcome = go(verl_source=str(checkout))
    assert outcome.changes == (Change("~", "verl", "0.4.1", f"checkout (from {address})"),)
    assert outcome.checks == ("verl-source",)
    assert have(target_path)["verl"] == "0.9.0.dev0"
    (checkout / "verl" / "__init__.py").write_text("__version__ = 'changed'\n")
    assert version(target_path) == "changed\n"
    assert not go(verl_source=str(checkout)).done
    assert go().changes == (Change("~", "verl", f"0.9.0.dev0 (from {address})", "0.4.1"),)
    assert version(target_path) == "0.4.1\n"


def test_verl_can_be_left_out(go, target_path):
    go(with_verl=False)
    assert "verl" not in have(target_path)
    assert not go(with_verl=False).done
