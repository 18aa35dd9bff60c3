import pytest

from verl_env.installers.configured import PYPI, ConfiguredIndex, configured_index, index_of


@pytest.fixture
def uv_file(tmp_path):
    file = tmp_path / "config" / "uv" / "uv.toml"
    file.parent.mkdir(parents=True)
    return file


def uv(tmp_path, **environ):
    return index_of("uv", {"XDG_CONFIG_HOME": str(tmp_path / "config"), **environ})


def test_without_a_word_it_is_pypi(tmp_path):
    assert uv(tmp_path) == ConfiguredIndex(PYPI, sole=True)
    assert index_of("pip", {"PIP_CONFIG_FILE": "/dev/null", "PATH": "/usr/bin"}).url == PYPI


@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX_URL"])
def test_variables_of_uv(tmp_path, name):
    assert uv(tmp_path, **{name: "https://i.example/simple"}) == ConfiguredIndex("https://i.example/simple", sole=True)
    assert uv(tmp_path, **{name: "site=https://i.example/simple"}).url == "https://i.example/simple"


@pytest.mark.parametrize("name", ["UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"])
def test_other_places_of_uv(tmp_path, name):
    assert not uv(tmp_path, **{name: "https://i.example/simple"}).sole


def test_the_file_of_uv(tmp_path, uv_file):
    uv_file.write_text('index-url = "https://a.example/simple"')
    assert uv(tmp_path) == ConfiguredIndex("https://a.example/simple", sole=True)
    assert uv(tmp_path, UV_NO_CONFIG="1").url == PYPI
    uv_file.write_text('[[index]]\nurl = "https://b.example/simple"\ndefault = true\n')
    assert uv(tmp_path) == ConfiguredIndex("https://b.example/simple", sole=True)
    uv_file.write_text('[[index]]\nurl = "https://b.example/simple"\n')
    assert uv(tmp_path) == ConfiguredIndex(PYPI, sole=False)
    uv_file.write_text("no TOML [")
    assert uv(tmp_path).url == PYPI


def test_the_proxy_of_uv(tmp_path):
    found = uv(tmp_path, UV_HTTPS_PROXY="http://p:1", UV_ALL_PROXY="http://q:2")
    assert found.proxies == {"http": "http://q:2", "https": "http://p:1"}


def test_pip_says_its_own(tmp_path):
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nindex-url = https://a.example/simple\nproxy = http://p:1\n")
    found = index_of("pip", {"PIP_CONFIG_FILE": str(file), "PATH": "/usr/bin", "HOME": str(tmp_path)})
    assert (found.url, found.proxies) == ("https://a.example/simple", {"http": "http://p:1", "https": "http://p:1"})
    found = index_of("pip", {"PIP_CONFIG_FILE": str(file), "PIP_FIND_LINKS": "/w", "HOME": str(tmp_path)})
    assert not found.sole


def test_the_index_of_locks_and_bundles_is_the_first_that_is_configured(tmp_path):
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nindex-url = https://of-pip.invalid/simple/\n")
    environ = {"PIP_CONFIG_FILE": str(file), "HOME": str(tmp_path)}
    assert configured_index(environ) == "https://of-pip.invalid/simple"
    for name in ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"):
        environ[name] = f"https://{name}/simple/"
        assert configured_index(environ) == f"https://{name}/simple"
    assert configured_index({"UV_INDEX_URL": "site=https://h/simple"}) == "https://h/simple"


def test_the_page_of_a_project():
    assert ConfiguredIndex("https://a.example/simple/", sole=True).page("torch") == "https://a.example/simple/torch/"
