import os
from pathlib import Path

import pytest

from verl_env.installers.isolation import check_environment, installer_environment

FOREIGN = [
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_CONSTRAINT",
    "PIP_NO_INDEX",
    "PIP_PRE",
    "PIP_NO_BUILD_ISOLATION",
    "UV_SYSTEM_PYTHON",
    "UV_CONSTRAINT",
    "UV_OVERRIDE",
    "UV_EXCLUDE_NEWER",
    "UV_TORCH_BACKEND",
    "UV_NO_BINARY",
    "UV_PYTHON",
    "UV_PROJECT_ENVIRONMENT",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "CONDA_DEFAULT_ENV",
    "__PYVENV_LAUNCHER__",
]
RESPECTED = [
    "PATH",
    "HOME",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "HTTPS_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "NETRC",
    "XDG_CACHE_HOME",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_SITE_PASSWORD",
    "UV_HTTP_TIMEOUT",
    "UV_LINK_MODE",
    "UV_SYSTEM_CERTS",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_PROXY",
    "PIP_TRUSTED_HOST",
    "NO_COLOR",
]


@pytest.mark.parametrize("name", FOREIGN)
def test_what_redirects_an_installer_does_not_reach_it(name):
    assert name not in installer_environment({name: "x"})


@pytest.mark.parametrize("name", RESPECTED)
def test_index_proxy_certificates_and_cache_reach_it(name):
    assert installer_environment({name: "x"})[name] == "x"


def test_settings_of_pip_that_its_configuration_may_hold_are_overruled():
    env = installer_environment({"PIP_USER": "1", "PIP_REQUIRE_VIRTUALENV": "1"})
    assert (env["PIP_USER"], env["PIP_REQUIRE_VIRTUALENV"]) == ("0", "0")


@pytest.mark.parametrize("name", ["UV_CACHE_DIR", "PIP_CACHE_DIR", "PIP_CERT", "PIP_CONFIG_FILE"])
def test_relative_paths_are_those_of_the_users_directory(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert installer_environment({name: "sub/x"})[name] == str(tmp_path / "sub" / "x")
    assert installer_environment({name: "~/x"})[name] == str(Path("~/x").expanduser())
    assert installer_environment({name: ""})[name] == ""


def test_no_configuration_stays_none():
    assert installer_environment({"PIP_CONFIG_FILE": os.devnull})["PIP_CONFIG_FILE"] == os.devnull


def test_what_the_user_sets_wins_over_what_we_would_set():
    assert installer_environment({}, UV_LINK_MODE="copy")["UV_LINK_MODE"] == "copy"
    assert installer_environment({"UV_LINK_MODE": "symlink"}, UV_LINK_MODE="copy")["UV_LINK_MODE"] == "symlink"


def test_a_check_runs_as_in_the_activated_environment(tmp_path):
    user = {"PATH": "/usr/bin", "PYTHONPATH": "/x", "UV_LINK_MODE": "copy", "HOME": "/h", "A": "user"}
    env = check_environment(user, {"A": "lockset", "B": "1"}, tmp_path)
    assert env["PATH"] == f"{tmp_path}/bin:/usr/bin"
    assert (env["A"], env["B"], env["HOME"]) == ("lockset", "1", "/h")
    assert env["VIRTUAL_ENV"] == str(tmp_path)
    assert env["PYTHONNOUSERSITE"] == "1"
    assert "PYTHONPATH" not in env
    assert "UV_LINK_MODE" not in env


def test_a_check_without_a_path_still_finds_the_system(tmp_path):
    assert check_environment({}, {}, tmp_path)["PATH"].endswith(os.defpath)
