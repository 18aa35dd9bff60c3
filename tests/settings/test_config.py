"""The configuration of a user and of a site."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from verl_env.settings.config import Config, build_cache_directory, cache_directory, load_config
from verl_env.settings.errors import (
    ConfigKeyUnknownError,
    ConfigSyntaxError,
    ConfigUnreadableError,
    ConfigValueInvalidError,
)
from verl_env.settings.origins import settings


class Host:
    """A user's and a site's configuration, in places of their own."""

    def __init__(self, root):
        self.root = root
        self.user = root / "home" / "verl-env" / "config.toml"
        self.site = root / "etc" / "verl-env" / "config.toml"
        self.env = {
            "XDG_CONFIG_HOME": str(root / "home"),
            "XDG_CONFIG_DIRS": str(root / "etc"),
            "SCRATCH": "/scratch/u",
        }

    @staticmethod
    def write(file, text):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def load(self):
        return load_config(self.env)


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def test_where_nothing_is_configured(host):
    assert host.load() == Config({})


def test_rules_for_locksets_add_up(host):
    host.write(host.site, '[locksets]\nonly = ["verl0.9*"]\nforbid = ["*/app.sglang"]\n')
    host.write(host.user, 'locksets = { forbid = ["app.vllm"] }\n')
    assert host.load().locksets == (
        (host.user, (), ("app.vllm",)),
        (host.site, ("verl0.9*",), ("*/app.sglang",)),
    )
    shown = {(each.key, each.value, each.origin) for each in settings(host.env)}
    assert ("locksets.only", "verl0.9*", str(host.site)) in shown
    assert ("locksets.forbid", "app.vllm", str(host.user)) in shown


@pytest.mark.parametrize("text", ['locksets = ["a"]', "locksets = { only = 3 }", 'locksets = { onyl = ["a"] }'])
def test_a_rule_that_makes_no_sense_is_an_error(host, text):
    host.write(host.site, f"{text}\n")
    with pytest.raises(ConfigValueInvalidError) as caught:
        host.load()
    assert "only" in str(caught.value.hint)


def test_the_user_goes_before_the_site_key_by_key(host):
    host.write(
        host.site,
        'cache = "/site/cache"\nbuild_cache = "/site/built"\n'
        '[mirrors]\n"https://a.example/" = "https://site.example/a/"\n"https://b.example/" = "file:///srv/b/"\n',
    )
    host.write(host.user, 'cache = "$SCRATCH/cache"\n[mirrors]\n"https://a.example" = "https://mine.example/a"\n')
    assert host.load() == Config(
        {"https://a.example": "https://mine.example/a", "https://b.example": "file:///srv/b"},
        Path("/scratch/u/cache"),
        Path("/site/built"),
        (host.user, host.site),
    )


def test_of_several_sites_the_first_is_the_strongest(host, tmp_path):
    other = tmp_path / "other"
    host.write(host.site, 'cache = "/first"\n')
    host.write(other / "verl-env" / "config.toml", 'cache = "/second"\nbuild_cache = "/built"\n')
    host.env["XDG_CONFIG_DIRS"] = f"{tmp_path / 'etc'}{os.pathsep}{other}"
    assert (host.load().cache, host.load().build_cache) == (Path("/first"), Path("/built"))


def test_a_named_file_stands_for_the_users(host, tmp_path):
    host.write(host.user, 'cache = "/user"\n')
    host.env["VERL_ENV_CONFIG"] = str(host.write(tmp_path / "mine.toml", 'cache = "/named"\n'))
    assert host.load().cache == Path("/named")
    host.env["VERL_ENV_CONFIG"] = os.devnull
    assert host.load().cache is None


def test_a_named_file_must_be_there(host, tmp_path):
    host.env["VERL_ENV_CONFIG"] = str(tmp_path / "gone.toml")
    with pytest.raises(ConfigUnreadableError, match=r"gone\.toml cannot be read: VERL_ENV_CONFIG names it"):
        host.load()


def test_a_directory_in_its_place_is_told(host):
    host.user.mkdir(parents=True)
    with pytest.raises(ConfigUnreadableError, match="directory"):
        host.load()


def test_a_file_in_the_place_of_its_directory_is_no_configuration(host):
    host.write(host.user.parent, "")
    assert host.load() == Config({})


@pytest.mark.parametrize(
    ("text", "error", "words", "hint"),
    [
        ("cache = ", ConfigSyntaxError, "is no TOML", "[mirrors]"),
        ('cache = "\\xff"', ConfigSyntaxError, "is no TOML", "double quotes"),
        ('cahce = "/x"', ConfigKeyUnknownError, "'cahce'", "did you mean 'cache'?"),
        ("[zzz]", ConfigKeyUnknownError, "'zzz'", "the keys are: mirrors, cache, build_cache"),
        ("cache = 3", ConfigValueInvalidError, "cache is 3", 'cache = "/shared/verl-env"'),
        ('cache = "x/y"', ConfigValueInvalidError, "from the root", "$SCRATCH"),
        ('build_cache = "$WORKDIR/x"', ConfigValueInvalidError, "the variable WORKDIR is not set", "build_cache ="),
        ('cache = "/x/$"', ConfigValueInvalidError, "cache is '/x/$'", "cache ="),
        ('cache = "~nobody-of-this-name/x"', ConfigValueInvalidError, "home", "cache ="),
        ("mirrors = 1", ConfigValueInvalidError, "mirrors are a table", "https://mirror.example"),
        (
            '[mirrors]\n"github.com" = "https://m/"',
            ConfigValueInvalidError,
            "'github.com', which is no",
            "mirror.example",
        ),
        ("provided = 1", ConfigValueInvalidError, "is a table of packages", "provided = {"),
        ("[provided]\ndemo = 1", ConfigValueInvalidError, "provided.demo is 1", "provided = {"),
        ('[mirrors]\n"https://g/" = 1', ConfigValueInvalidError, 'mirrors."https://g/" has 1', "mirror.example"),
    ],
)
def test_what_is_wrong_is_named_with_file_key_and_reason(host, text, error, words, hint):
    host.write(host.user, text)
    with pytest.raises(error) as caught:
        host.load()
    assert words in caught.value.message
    assert str(host.user) in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2


def test_the_variable_of_a_directory_is_the_strongest(host):
    host.write(host.user, 'cache = "/user/cache"\nbuild_cache = "/user/built"\n')
    assert cache_directory(host.env) == Path("/user/cache")
    assert build_cache_directory(host.env) == Path("/user/built")
    host.env |= {"VERL_ENV_CACHE_DIR": "/var/cache", "VERL_ENV_BUILD_CACHE": "/var/built"}
    assert cache_directory(host.env) == Path("/var/cache")
    assert build_cache_directory(host.env) == Path("/var/built")


def test_directories_where_nothing_is_configured(host):
    host.env["XDG_CACHE_HOME"] = "/home/u/.cache"
    assert cache_directory(host.env) == Path("/home/u/.cache/verl-env")
    assert build_cache_directory(host.env) == Path("/home/u/.cache/verl-env/built")
    del host.env["XDG_CACHE_HOME"]
    assert cache_directory(host.env) == Path("~/.cache/verl-env").expanduser()


def test_where_there_is_no_file_nothing_is_imported_for_it():
    code = "import sys; from verl_env.settings.config import load_config; load_config(); print(*sys.modules)"
    env = {"XDG_CONFIG_HOME": "/nowhere", "XDG_CONFIG_DIRS": "/nowhere", "PATH": os.defpath}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert not {"tomllib", "tomli"} & set(done.stdout.split())


def test_packages_of_the_site_are_named_with_their_file_and_turned_off_by_the_user(host):
    host.write(host.site, '[provided]\nMPI_demo = "$APPS/python{python}"\nother = "/o"\n')
    host.write(host.user, "[provided]\nother = false\n")
    host.env["APPS"] = "/apps"
    assert host.load().provided == {"mpi-demo": Path("/apps/python{python}")}
    shown = [each for each in settings(host.env) if each.key.startswith("provided")]
    assert [(each.key, each.value, each.origin) for each in shown] == [
        ("provided.mpi-demo", "/apps/python{python}", str(host.site))
    ]
