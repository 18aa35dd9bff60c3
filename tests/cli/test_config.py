"""``verl-env config``: each value with its origin, and a first file that only says what somebody said."""

import json

import pytest

from verl_env.cli.main import main


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("VERL_ENV_CONFIG", "VERL_ENV_CACHE_DIR", "VERL_ENV_BUILD_CACHE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "site"))
    monkeypatch.setenv("SCRATCH", "/scratch/me")
    return tmp_path / "home"


def show(capsys):
    assert main(["config", "show", "--json"]) == 0
    return {each["key"]: (each["value"], each["origin"]) for each in json.loads(capsys.readouterr().out)["settings"]}


def test_what_nobody_configured_is_the_default(home, capsys):
    cache = f"{home}/.cache/verl-env"
    assert show(capsys) == {"cache": (cache, "default"), "build_cache": (f"{cache}/built", "default, below cache")}


def test_variables_then_the_user_then_the_site(home, tmp_path, capsys, monkeypatch):
    site, user = tmp_path / "site/verl-env/config.toml", home / ".config/verl-env/config.toml"
    for file in (site, user):
        file.parent.mkdir(parents=True)
    site.write_text('cache = "/site/cache"\nbuild_cache = "/site/built"\n[mirrors]\n"https://a.b/" = "file:///m"\n')
    user.write_text('cache = "$SCRATCH/cache"\n')
    monkeypatch.setenv("VERL_ENV_BUILD_CACHE", "/mine")
    assert show(capsys) == {
        "cache": ("/scratch/me/cache", str(user)),
        "build_cache": ("/mine", "VERL_ENV_BUILD_CACHE"),
        'mirrors."https://a.b"': ("file:///m", str(site)),
    }


def test_init_writes_what_was_said_and_no_more(home, capsys):
    assert main(["config", "init", "--cache", '$SCRATCH/verl "env"']) == 0
    file = home / ".config/verl-env/config.toml"
    assert file.read_text().splitlines()[1:] == ['cache = "$SCRATCH/verl \\"env\\""']
    capsys.readouterr()
    assert show(capsys)["cache"] == ('/scratch/me/verl "env"', str(file))
    assert main(["config", "init", "--cache", "/other"]) == 2
    assert "config-file-present" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [[], ["--cache", "relative"], ["--cache", "$NOBODY_SET_THIS/x"]])
def test_init_leaves_nothing_behind_where_it_makes_no_sense(home, capsys, flags):
    assert main(["config", "init", *flags]) == 2
    assert "error" in capsys.readouterr().err
    assert not (home / ".config/verl-env/config.toml").exists()
