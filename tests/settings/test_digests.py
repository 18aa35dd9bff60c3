"""What has no recorded hash is what it was when it was first taken, or refused with the command that accepts it."""

import shlex
import stat

import pytest

from verl_env.cli.main import main
from verl_env.settings.digests import (
    DigestChangedError,
    DigestsUnreadableError,
    first_use,
    known_digest,
    own_digests,
    read_digests,
    remember,
)

ADDRESS = "https://host/x/a-1.0.whl"
ONE, OTHER = "1" * 64, "2" * 64


def test_the_first_is_kept_and_another_refused():
    first_use(ADDRESS, ONE, "the server", {})
    assert known_digest(ADDRESS) == ONE
    first_use(ADDRESS, ONE, "the server", {})
    with pytest.raises(DigestChangedError) as caught:
        first_use(ADDRESS, OTHER, "/cache/a.whl", {})
    assert caught.value.id == "digest-changed"
    assert "/cache/a.whl" in caught.value.message
    assert known_digest(ADDRESS) == ONE


def test_the_command_of_the_refusal_accepts_it_as_printed(capsys):
    first_use(ADDRESS, ONE, "the server", {})
    with pytest.raises(DigestChangedError) as caught:
        first_use(ADDRESS, OTHER, "the server", {})
    words = shlex.split(caught.value.hint.rpartition(": ")[2])
    assert words[:2] == ["verl-env", "trust"]
    assert main(words[1:]) == 0
    assert OTHER in capsys.readouterr().out
    first_use(ADDRESS, OTHER, "the server", {})


def test_what_an_environment_knows_counts_until_this_user_accepted_another():
    with pytest.raises(DigestChangedError):
        first_use(ADDRESS, OTHER, "the server", {ADDRESS: f"sha256:{ONE}"})
    remember(ADDRESS, OTHER)
    first_use(ADDRESS, OTHER, "the server", {ADDRESS: f"sha256:{ONE}"})


def test_a_password_in_an_address_is_not_kept():
    first_use("https://me:hunter22@host/x/a-1.0.whl?X-Amz-Signature=abc&v=2", ONE, "the server", {})
    text = own_digests().read_text()
    assert "hunter22" not in text
    assert "abc" not in text
    assert list(read_digests(own_digests())) == ["https://host/x/a-1.0.whl?v=2"]


def test_the_file_is_nobody_elses():
    remember(ADDRESS, ONE)
    assert stat.S_IMODE(own_digests().stat().st_mode) == 0o600
    assert stat.S_IMODE(own_digests().parent.stat().st_mode) & 0o022 == 0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1}', '{"schema": 9, "digests": {}}', "[" * 9999])
def test_a_damaged_file_is_no_trust_in_everything(text):
    remember(ADDRESS, ONE)
    own_digests().write_text(text)
    with pytest.raises(DigestsUnreadableError):
        first_use(ADDRESS, OTHER, "the server", {})


def test_the_file_of_a_site_counts_where_its_owner_is_trusted(tmp_path, monkeypatch):
    site = tmp_path / "site" / "digests.json"
    remember(ADDRESS, ONE, site)
    config = tmp_path / "config.toml"
    config.write_text(f'digests = "{site}"\n')
    monkeypatch.setenv("VERL_ENV_CONFIG", str(config))
    assert known_digest(ADDRESS) == ONE
    site.chmod(0o666)
    assert known_digest(ADDRESS) is None


def test_without_a_home_nothing_fails(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    first_use(ADDRESS, ONE, "the server", {})
    assert known_digest(ADDRESS) is None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["trust", ADDRESS], "nothing was taken from"),
        (["trust", ADDRESS, "abc"], "is no SHA-256"),
        (["trust", "--forget"], "say of which address"),
        (["trust", ADDRESS, ONE, "--forget"], "is no SHA-256"),
    ],
)
def test_wrong_use_is_told(words, says, capsys):
    assert main(words) == 2
    assert says in capsys.readouterr().err


def test_forgotten_it_is_taken_anew(capsys):
    remember(ADDRESS, ONE)
    assert main(["trust", ADDRESS, "--forget"]) == 0
    assert "nothing is kept" in capsys.readouterr().out
    first_use(ADDRESS, OTHER, "the server", {})
    assert main(["trust", "--json"]) == 0
    assert OTHER in capsys.readouterr().out
