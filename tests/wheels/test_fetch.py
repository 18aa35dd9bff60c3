import pytest

from tests.install.plans import options, wheel
from tests.install.wheels import sha256, wheel_bytes
from verl_env.choose.model import Build
from verl_env.installers.failures import AddressUnavailableError, DownloadInterruptedError, HashMismatchError
from verl_env.settings.digests import DigestChangedError, remember
from verl_env.wheels import fetch
from verl_env.wheels.errors import HashRequiredError, NativeMismatchError, NativeUnobtainableError
from verl_env.wheels.fetch import download, fetch_native, file_sha256

FILE = "flash_attn-2.7.4+cu12-py3-none-any.whl"
CONTENT = wheel_bytes("flash-attn", "2.7.4", {"flash_attn.py": "x = 1\n" * 1000})


@pytest.fixture
def served(index, monkeypatch):
    """An index that has the wheel; no time is lost between attempts."""
    (index.directory / FILE).write_bytes(CONTENT)
    monkeypatch.setattr(fetch.time, "sleep", lambda _: None)
    return index


def choice(url, digest=None):
    return Build("flash-attn", "2.7.4", "prebuilt", "published", wheel(url, sha256=digest))


def get(index, tmp_path, *, digest=None, told=None, **changes):
    tell = (lambda *state: told.append(state)) if told is not None else (lambda *_: None)
    return fetch_native(choice(index.url(FILE.replace("+", "%2B")), digest), options(tmp_path, **changes), tell)


def test_a_wheel_is_downloaded_once(served, tmp_path):
    told = []
    path = get(served, tmp_path, told=told)
    assert path.name == FILE
    assert path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert get(served, tmp_path) == path
    assert len(served.asked) == 1
    assert [each.name for each in path.parent.iterdir()] == [FILE]


def test_a_recorded_hash_is_checked(served, tmp_path):
    assert file_sha256(get(served, tmp_path, digest=sha256(CONTENT))) == sha256(CONTENT)


def test_another_file_is_refused_and_not_kept(served, tmp_path):
    with pytest.raises(HashMismatchError) as caught:
        get(served, tmp_path, digest="0" * 64)
    assert caught.value.actual == f"sha256:{sha256(CONTENT)}"
    assert caught.value.package == FILE
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


WRONG = {
    "a login page": (b"<!DOCTYPE html><html>log in</html>", "wheel-unreadable", "it is an HTML page"),
    "an error of a store": (b"\n<?xml version='1.0'?><Error/>", "wheel-unreadable", "it is an XML document"),
    "an error of a service": (b'{"message": "not found"}', "wheel-unreadable", "it is a JSON document"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\n", "wheel-unreadable", "a pointer of Git LFS"),
    "nothing": (b"", "wheel-unreadable", "it is empty"),
    "noise": (bytes(range(200, 255)), "wheel-unreadable", "it is a file of another kind (55 B)"),
    "half of it": (CONTENT[:-30], "wheel-unreadable", "a damaged one"),
    "another distribution": (wheel_bytes("numpy", "9.9", {}), "wrong-distribution", "the file is numpy 9.9"),
    "another version": (wheel_bytes("flash-attn", "2.8", {}), "wrong-version", "the file is version 2.8"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_wheel_of_the_component_is_not_kept(served, tmp_path, case):
    content, kind, words = WRONG[case]
    (served.directory / FILE).write_bytes(content)
    with pytest.raises(NativeMismatchError) as caught:
        get(served, tmp_path)
    assert [fault.id for fault in caught.value.faults] == [kind]
    assert words in caught.value.message
    assert served.address in caught.value.message
    assert "--wheelhouse DIR" in caught.value.hint
    (served.directory / FILE).write_bytes(CONTENT)
    assert get(served, tmp_path).read_bytes() == CONTENT


def test_a_bad_file_in_a_cache_from_before_is_fetched_anew(served, tmp_path):
    path = get(served, tmp_path)
    path.write_bytes(b"<html>")
    with pytest.raises(NativeMismatchError):
        get(served, tmp_path, offline=True)
    assert get(served, tmp_path).read_bytes() == CONTENT


def test_a_bad_file_in_the_wheelhouse_stays_there(served, tmp_path, house):
    (house.path / FILE).write_bytes(b"<html>")
    with pytest.raises(NativeMismatchError, match=str(house.path)):
        get(served, tmp_path, wheelhouse=house.path)
    assert (house.path / FILE).exists()


def test_two_addresses_of_one_name_are_two_files(served, tmp_path):
    (served.directory / "other").mkdir()
    (served.directory / "other" / FILE).write_bytes(CONTENT + b"other")
    other = fetch_native(choice(f"{served.address}/files/other/{FILE}"), options(tmp_path), lambda *_: None)
    assert get(served, tmp_path).read_bytes() != other.read_bytes()


def test_a_broken_off_download_is_begun_again(served, tmp_path):
    served.faults[FILE] = "cut-once"
    assert get(served, tmp_path).read_bytes() == CONTENT
    assert len(served.asked) == 2


def test_a_download_that_always_breaks_off_is_an_error_and_leaves_nothing(served, tmp_path):
    served.faults[FILE] = "cut"
    with pytest.raises(DownloadInterruptedError) as caught:
        get(served, tmp_path)
    assert caught.value.what == f"{FILE} from {served.url(FILE.replace('+', '%2B'))}"
    assert len(served.asked) == fetch.ATTEMPTS
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    del served.faults[FILE]
    assert get(served, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(("fault", "words"), [("gone", "404 Not Found"), ("denied", "403"), ("broken", "503")])
def test_what_the_server_refuses_cannot_be_had(served, tmp_path, fault, words):
    served.faults[FILE] = fault
    with pytest.raises(NativeUnobtainableError, match=words):
        get(served, tmp_path)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x-1-py3-none-any.whl", "http://host.invalid/x-1-py3-none-any.whl"])
def test_what_cannot_be_reached_cannot_be_had(tmp_path, url):
    with pytest.raises(NativeUnobtainableError, match="cannot be reached"):
        fetch_native(choice(url), options(tmp_path), lambda *_: None)


def test_the_wheelhouse_comes_first(served, tmp_path, house):
    path = get(served, tmp_path, wheelhouse=house.path, offline=True)
    assert path == house.path / FILE
    assert served.asked == []


def test_a_wheel_in_the_wheelhouse_is_checked_and_never_removed(served, tmp_path, house):
    with pytest.raises(HashMismatchError):
        get(served, tmp_path, wheelhouse=house.path, digest="0" * 64)
    assert (house.path / FILE).exists()


def test_offline_only_what_is_there_can_be_had(served, tmp_path):
    with pytest.raises(NativeUnobtainableError, match="offline"):
        get(served, tmp_path, offline=True)
    path = get(served, tmp_path)
    assert get(served, tmp_path, offline=True) == path
    assert len(served.asked) == 1


def test_a_choice_without_a_wheel_cannot_be_had(tmp_path):
    with pytest.raises(NativeUnobtainableError, match="no wheel"):
        fetch_native(Build("flash-attn", "2.7.4", "skip", "no wheel"), options(tmp_path), lambda *_: None)


PUBLISHED = f"https://publisher.invalid/releases/{FILE.replace('+', '%2B')}"


@pytest.fixture
def mirror(served, tmp_path, monkeypatch):
    """The served files stand for those of a publisher that cannot be reached."""
    file = tmp_path / "config.toml"
    file.write_text(f'[mirrors]\n"https://publisher.invalid/releases/" = "{served.address}/files/"\n')
    monkeypatch.setenv("VERL_ENV_CONFIG", str(file))
    return served


def test_a_mirror_stands_for_an_address(mirror, tmp_path):
    path = fetch_native(choice(PUBLISHED, sha256(CONTENT)), options(tmp_path), lambda *_: None)
    assert path.read_bytes() == CONTENT
    assert path == fetch_native(choice(PUBLISHED), options(tmp_path, offline=True), lambda *_: None)


def test_a_directory_can_be_a_mirror(house, tmp_path, monkeypatch):
    (house.path / FILE).write_bytes(CONTENT)
    file = tmp_path / "config.toml"
    file.write_text(f'[mirrors]\n"https://publisher.invalid/releases" = "{house.path.as_uri()}"\n')
    monkeypatch.setenv("VERL_ENV_CONFIG", str(file))
    assert fetch_native(choice(PUBLISHED), options(tmp_path), lambda *_: None).read_bytes() == CONTENT
    (house.path / FILE).unlink()
    with pytest.raises(NativeUnobtainableError, match=r"mirror of https://publisher\.invalid"):
        fetch_native(choice(f"{PUBLISHED}.gone"), options(tmp_path), lambda *_: None)


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("gone", NativeUnobtainableError, "404 Not Found"),
        ("cut", DownloadInterruptedError, "broke off"),
        ("stall", DownloadInterruptedError, "broke off"),
        (None, HashMismatchError, "the lock says"),
    ],
)
def test_an_error_names_both_addresses(mirror, tmp_path, monkeypatch, fault, error, words):
    monkeypatch.setattr(fetch, "TIMEOUT", 0.2)
    mirror.faults[FILE] = fault
    with pytest.raises(error, match=words) as caught:
        fetch_native(choice(PUBLISHED, "0" * 64), options(tmp_path), lambda *_: None)
    served = mirror.url(FILE.replace("+", "%2B"))
    assert f"{served} (mirror of {PUBLISHED})" in caught.value.message


def test_a_hash_in_the_wheelhouse_names_the_wheelhouse(mirror, tmp_path, house):
    with pytest.raises(HashMismatchError, match=str(house.path)):
        fetch_native(choice(PUBLISHED, "0" * 64), options(tmp_path, wheelhouse=house.path), lambda *_: None)


@pytest.mark.parametrize(
    ("table", "hint"), [("", "HTTPS_PROXY"), ('"http://127.0.0.1:1" = "http://127.0.0.1:2"', "correct")]
)
def test_what_can_be_done_where_an_address_gives_nothing(tmp_path, monkeypatch, table, hint):
    file = tmp_path / "config.toml"
    file.write_text(f"[mirrors]\n{table}\n")
    monkeypatch.setenv("VERL_ENV_CONFIG", str(file))
    with pytest.raises(AddressUnavailableError, match="cannot be reached") as caught:
        download("http://127.0.0.1:1/x.tar.gz", tmp_path / "x.tar.gz", lambda *_: None)
    assert hint in caught.value.hint
    assert not list(tmp_path.glob("x.tar.gz*"))


@pytest.fixture
def on_index(index, monkeypatch):
    """An index that has the wheel, as the user told pip; the wheel by its name and digest alone."""
    name = "flash_attn-2.7.4-py3-none-any.whl"
    (index.directory / name).write_bytes(CONTENT)
    monkeypatch.setenv("PIP_INDEX_URL", index.simple)
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    return lambda digest: choice(f"index:{name}", digest)


def test_a_wheel_of_the_index_is_fetched_by_pip_and_kept(on_index, tmp_path):
    path = fetch_native(on_index(sha256(CONTENT)), options(tmp_path), lambda *_: None)
    assert path.read_bytes() == CONTENT
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    again = fetch_native(on_index(sha256(CONTENT)), options(tmp_path, offline=True), lambda *_: None)
    assert again == path


def test_another_file_of_the_index_is_refused_and_not_kept(on_index, tmp_path):
    with pytest.raises(HashMismatchError) as caught:
        fetch_native(on_index("0" * 64), options(tmp_path), lambda *_: None)
    assert caught.value.actual == f"sha256:{sha256(CONTENT)}"
    assert not list((tmp_path / "cache").rglob("*.whl"))


def test_what_the_index_does_not_have_cannot_be_had(index, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", index.simple)
    with pytest.raises(NativeUnobtainableError) as caught:
        fetch_native(choice("index:flash_attn-2.7.4-py3-none-any.whl", "0" * 64), options(tmp_path), lambda *_: None)
    assert "the index has no flash-attn==2.7.4" in caught.value.message


def test_a_wheel_of_the_index_in_a_wheelhouse_needs_no_index(tmp_path, house):
    name = "flash_attn-2.7.4-py3-none-any.whl"
    (house.path / name).write_bytes(CONTENT)
    made = options(tmp_path, offline=True, wheelhouse=house.path)
    assert fetch_native(choice(f"index:{name}", sha256(CONTENT)), made, lambda *_: None) == house.path / name


OTHER = wheel_bytes("flash-attn", "2.7.4", {"flash_attn.py": "x = 'another'\n"})


def test_what_has_no_hash_is_what_it_was_when_it_was_first_taken(served, tmp_path):
    path = get(served, tmp_path)
    path.write_bytes(OTHER)
    with pytest.raises(DigestChangedError) as caught:
        get(served, tmp_path)
    assert str(path) in caught.value.message
    assert not path.exists(), "the copy in the cache is gone"
    assert get(served, tmp_path).read_bytes() == CONTENT
    path.unlink()
    (served.directory / FILE).write_bytes(OTHER)
    with pytest.raises(DigestChangedError):
        get(served, tmp_path)
    remember(served.url(FILE.replace("+", "%2B")), sha256(OTHER))
    assert get(served, tmp_path).read_bytes() == OTHER


def test_what_an_environment_knows_counts_for_a_user_who_knows_nothing(served, tmp_path):
    known = {served.url(FILE.replace("+", "%2B")): f"sha256:{'0' * 64}"}
    with pytest.raises(DigestChangedError):
        get(served, tmp_path, digests=known)


def test_nobodys_first_use_is_what_others_may_have_put_into_a_cache(served, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    path = get(served, tmp_path)
    path.write_bytes(OTHER)
    path.parent.chmod(0o777)
    remember(served.url(FILE.replace("+", "%2B")), None)
    taken = get(served, tmp_path)
    assert taken.read_bytes() == CONTENT
    assert taken.is_relative_to(tmp_path / "own")


def test_nothing_without_a_hash_is_fetched_where_one_is_wanted(served, tmp_path):
    with pytest.raises(HashRequiredError):
        get(served, tmp_path, recorded_only=True)
    assert served.asked == []
    assert get(served, tmp_path, recorded_only=True, digest=sha256(CONTENT)).read_bytes() == CONTENT
