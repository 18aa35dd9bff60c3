"""A catalogue that is newer than the release: published, fetched over http, refused where it is not what it must be."""

import functools
import http.server
import json
import shutil
import threading

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tuf.api.metadata import Metadata

from verl_env.catalogue import sign as signing
from verl_env.cli.main import main
from verl_env.components.load import catalogue_root, load_catalogue
from verl_env.constraints import constraints_directory, constraints_folder


class Site:
    """A repository that a local web server serves, and a configuration that names it."""

    def __init__(self, root, monkeypatch):
        self.directory, self.key, self.config = root / "served", root / "key.pem", root / "config.toml"
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.key.write_bytes(pem)
        self.directory.mkdir()
        handler = functools.partial(Quiet, directory=str(self.directory))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.root = root / "root.json"
        self.monkeypatch = monkeypatch

    def publish(self, text=None, days=90):
        if text is not None:
            self.monkeypatch.setattr(signing, "compiled_text", lambda _: text)
        assert main(["catalogue", "sign", str(self.directory), "--key", str(self.key), "--days", str(days)]) == 0
        if not self.root.exists():
            shutil.copy(self.directory / "metadata" / "1.root.json", self.root)
        self.config.write_text(f'catalogue = {{ url = "{self.url}", root = "{self.root}" }}\n')
        self.monkeypatch.setenv("VERL_ENV_CONFIG", str(self.config))

    def metadata(self, name):
        return self.directory / "metadata" / name


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def site(tmp_path, monkeypatch):
    made = Site(tmp_path, monkeypatch)
    yield made
    made.server.shutdown()
    made.server.server_close()


def newer():
    """The catalogue of this release, with one release of flash-attn that it does not have."""
    table = json.loads((constraints_directory() / "components.json").read_text())
    releases = table["files"]["flash-attn"]["table"]["releases"]
    releases.insert(0, {**releases[0], "version": "99.0"})
    return json.dumps(table)


def test_without_a_configuration_nothing_is_fetched(capsys):
    assert main(["catalogue", "update"]) == 2
    assert "error[catalogue-not-configured]" in capsys.readouterr().err


def test_a_newer_catalogue_is_in_force_until_it_is_reset(site, capsys):
    assert catalogue_root() == constraints_folder()
    site.publish(newer())
    assert main(["catalogue", "update", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out.partition("trust\n")[2])
    assert (shown["fetched"]["url"], shown["fetched"]["version"]) == (site.url, 1)
    assert shown["releases"]["flash-attn"][0] == "99.0"
    assert load_catalogue().components["flash-attn"].releases[0].version == "99.0"
    assert len(load_catalogue().compilers) == len(load_catalogue(constraints_directory()).compilers)
    assert main(["catalogue", "reset"]) == 0
    assert catalogue_root() == constraints_folder()


def test_the_next_version_takes_the_place_of_the_last(site):
    site.publish()
    assert main(["catalogue", "update"]) == 0
    first = catalogue_root()
    site.publish(newer())
    assert main(["catalogue", "update"]) == 0
    assert catalogue_root() == first
    assert load_catalogue().components["flash-attn"].releases[0].version == "99.0"


def test_a_catalogue_of_this_release_says_the_same_as_the_release(site):
    site.publish()
    assert main(["catalogue", "update"]) == 0
    fetched, own = load_catalogue(), load_catalogue(constraints_directory())
    assert dict(fetched.components) == dict(own.components)


@pytest.mark.parametrize("file", ["timestamp.json", "1.snapshot.json", "1.targets.json"])
def test_what_another_hand_changed_is_refused_and_the_old_one_stays(site, capsys, file):
    site.publish()
    changed = Metadata.from_file(str(site.metadata(file)))
    changed.signed.version += 1
    changed.to_file(str(site.metadata(file)))
    assert main(["catalogue", "update"]) == 1
    assert "error[catalogue-unverified]" in capsys.readouterr().err
    assert catalogue_root() == constraints_folder()


def test_another_file_under_the_signed_name_is_refused(site, capsys):
    site.publish()
    target = next((site.directory / "targets").iterdir())
    target.write_bytes(target.read_bytes().replace(b"flash", b"flush"))
    assert main(["catalogue", "update"]) == 1
    assert "error[catalogue-unverified]" in capsys.readouterr().err


def test_an_older_state_is_refused_once_a_newer_one_was_seen(site, tmp_path, capsys):
    site.publish()
    shutil.copytree(site.directory, tmp_path / "old")
    site.publish(newer())
    assert main(["catalogue", "update"]) == 0
    shutil.rmtree(site.directory)
    shutil.copytree(tmp_path / "old", site.directory)
    assert main(["catalogue", "update"]) == 1
    assert "error[catalogue-unverified]" in capsys.readouterr().err
    assert load_catalogue().components["flash-attn"].releases[0].version == "99.0"


def test_keys_that_the_site_did_not_name_sign_nothing(site, capsys):
    site.publish()
    first = site.root.read_bytes()
    shutil.rmtree(site.directory / "metadata")
    site.key.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    site.publish(newer())
    assert site.root.read_bytes() == first
    assert main(["catalogue", "update"]) == 1
    assert "error[catalogue-unverified]" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["{}", "[]", "no json", '{"files": {"../x": {"table": {}}}}', '{"files": {"x": {"table": {}}}}']
)
def test_a_signed_catalogue_that_cannot_be_read_changes_nothing(site, capsys, text):
    site.publish(text)
    assert main(["catalogue", "update"]) == 1
    assert "error[catalogue-unusable]" in capsys.readouterr().err
    assert catalogue_root() == constraints_folder()


def test_a_server_that_is_gone_is_told(site, capsys):
    site.publish()
    site.server.shutdown()
    site.server.server_close()
    assert main(["catalogue", "update"]) == 1
    assert "error[catalogue-unreachable]" in capsys.readouterr().err


def test_what_is_no_key_cannot_sign(site, tmp_path, capsys):
    site.key.write_text("no key")
    assert main(["catalogue", "sign", str(site.directory), "--key", str(site.key)]) == 2
    assert main(["catalogue", "sign", str(site.directory), "--key", str(tmp_path / "none.pem")]) == 2
    assert capsys.readouterr().err.count("error[signing-key-unusable]") == 2


@pytest.mark.parametrize("words", [["sign"], ["sign", "x"], ["update", "x"], ["show", "--key", "k"]])
def test_wrong_words_are_told(words):
    assert main(["catalogue", *words]) == 2
