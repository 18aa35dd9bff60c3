"""One file: resumed, checked, whole or not there."""

import hashlib

import pytest

from tests.bundle.server import Files
from verl_env.bundle import download as module
from verl_env.bundle.download import CancelledError, download, part_of
from verl_env.bundle.errors import BundleFileUnavailableError
from verl_env.bundle.lookup import Fetch
from verl_env.installers.failures import HashMismatchError
from verl_env.locksets.target import LockTarget

CONTENT = bytes(range(256)) * 20_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def files(monkeypatch):
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    files = Files()
    files.contents["demo.whl"] = CONTENT
    yield files
    files.close()


def fetch(files, sha256=DIGEST, hashes=None):
    return Fetch(
        "wheels/demo.whl",
        files.url("demo.whl"),
        sha256,
        1,
        "package",
        "demo",
        "1",
        LockTarget("3.12", "x86_64", "2.28"),
        hashes,
    )


def run(files, tmp_path, **changes):
    came = []
    done = download(fetch(files, **changes), tmp_path / "demo.whl", came.append, lambda: False)
    return done, sum(came)


def test_a_file_comes_whole(files, tmp_path):
    assert run(files, tmp_path) == ((DIGEST, len(CONTENT)), len(CONTENT))
    assert [path.name for path in tmp_path.iterdir()] == ["demo.whl"]


def test_a_part_is_taken_over(files, tmp_path):
    part_of(tmp_path / "demo.whl").write_bytes(CONTENT[:1_000_000])
    assert run(files, tmp_path) == ((DIGEST, len(CONTENT)), len(CONTENT))
    assert files.asked == [("demo.whl", "bytes=1000000-")]
    assert (tmp_path / "demo.whl").read_bytes() == CONTENT


def test_what_broke_off_goes_on_where_it_ended(files, tmp_path):
    files.faults["demo.whl"] = "cut-once"
    assert run(files, tmp_path) == ((DIGEST, len(CONTENT)), len(CONTENT))
    assert [wanted for _, wanted in files.asked] == [None, f"bytes={len(CONTENT) // 2}-"]


def test_a_server_without_ranges_sends_it_anew(files, tmp_path):
    part_of(tmp_path / "demo.whl").write_bytes(CONTENT[:5])
    files.faults["demo.whl"] = "no-range"
    assert run(files, tmp_path) == ((DIGEST, len(CONTENT)), len(CONTENT))
    assert (tmp_path / "demo.whl").read_bytes() == CONTENT


def test_a_part_that_is_longer_than_the_file_is_dropped(files, tmp_path):
    part_of(tmp_path / "demo.whl").write_bytes(CONTENT + b"more")
    assert run(files, tmp_path) == ((DIGEST, len(CONTENT)), len(CONTENT))


def test_a_part_of_another_file_is_found_out_and_gone_for_the_next_run(files, tmp_path):
    part_of(tmp_path / "demo.whl").write_bytes(b"x" * 1000)
    with pytest.raises(HashMismatchError, match=DIGEST):
        run(files, tmp_path)
    assert not list(tmp_path.iterdir())
    assert run(files, tmp_path)[0] == (DIGEST, len(CONTENT))


def test_hashes_of_a_lock_count_where_the_address_has_none(files, tmp_path):
    assert run(files, tmp_path, sha256=None, hashes=frozenset({f"sha256:{DIGEST}"}))[0][0] == DIGEST
    (tmp_path / "demo.whl").unlink()
    with pytest.raises(HashMismatchError):
        run(files, tmp_path, sha256=None, hashes=frozenset({"sha256:" + "0" * 64}))


def test_what_is_not_there_is_not_asked_for_again(files, tmp_path):
    files.faults["demo.whl"] = "gone"
    with pytest.raises(BundleFileUnavailableError, match="answers 404"):
        run(files, tmp_path)
    assert len(files.asked) == 1


def test_a_server_that_never_gives_a_byte_is_given_up(tmp_path, files):
    files.contents["demo.whl"] = b"x"
    files.faults["demo.whl"] = "cut"
    with pytest.raises(BundleFileUnavailableError, match="0 of 1 bytes"):
        run(files, tmp_path)
    assert len(files.asked) == module.ATTEMPTS


def test_another_failure_ends_it_and_its_part_stays(files, tmp_path):
    with pytest.raises(CancelledError):
        download(fetch(files), tmp_path / "demo.whl", lambda _: None, lambda: True)
    assert part_of(tmp_path / "demo.whl").stat().st_size > 0
