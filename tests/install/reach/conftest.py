import pytest

from tests.install.reach.hosts import Host, Silent


@pytest.fixture(autouse=True)
def plain(monkeypatch, tmp_path):
    """No proxy, no index and no configuration of whoever runs the tests."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "site"))


@pytest.fixture
def host():
    made = Host()
    yield made
    made.close()


@pytest.fixture
def silent():
    made = Silent()
    yield made
    made.close()
