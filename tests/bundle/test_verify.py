"""Every file is compared, in a directory and in a tar file, and each that differs is named."""

import io
import os
import tarfile

import pytest

from tests.bundle.bundles import CONTENTS, manifest, pack, write
from verl_env.bundle.errors import BundleDamagedError, BundleInvalidError
from verl_env.bundle.verify import is_bundle, opened, read_manifest, verify

A, B = "wheels/a-1-py3-none-any.whl", "wheels/b-1-py3-none-any.whl"


@pytest.fixture
def root(tmp_path):
    return write(tmp_path / "bundle")


def check(path):
    with opened(path) as store:
        verify(store, read_manifest(store))


@pytest.fixture(params=["directory", "tar"])
def faults(request, root, tmp_path):
    def found():
        path = root if request.param == "directory" else pack(root, tmp_path / "bundle.tar")
        with pytest.raises(BundleDamagedError) as error:
            check(path)
        return error.value.faults

    return found


def test_a_whole_one_passes(root, tmp_path):
    check(root)
    check(pack(root, tmp_path / "b.tar"))


def test_one_flipped_byte(root, faults):
    content = bytearray((root / A).read_bytes())
    content[7] ^= 1
    (root / A).write_bytes(content)
    assert faults() == {"changed": (A,)}


def test_a_removed_and_an_added_file(root, faults):
    (root / A).unlink()
    (root / "wheels" / "evil.whl").write_bytes(b"x")
    assert faults() == {"missing": (A,), "added": ("wheels/evil.whl",)}


def test_two_swapped_files(root, faults):
    (root / A).write_bytes(CONTENTS[B])
    (root / B).write_bytes(CONTENTS[A])
    assert faults() == {"swapped": (f"{A} (it is {B})", f"{B} (it is {A})")}


def test_a_link_is_no_file_though_its_target_has_the_contents(root, tmp_path):
    (tmp_path / "elsewhere").write_bytes(CONTENTS[A])
    (root / A).unlink()
    (root / A).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleDamagedError) as error:
        check(root)
    assert error.value.faults == {"not a file": (A,)}


def test_a_folder_that_is_a_link_is_not_entered(root, tmp_path):
    (root / "wheels").rename(tmp_path / "wheels")
    (root / "wheels").symlink_to(tmp_path / "wheels")
    with pytest.raises(BundleDamagedError) as error:
        check(root)
    assert error.value.faults["missing"] == (A, B)
    assert error.value.faults["added"] == ("wheels",)


def test_a_fifo_does_not_stop_it(root):
    os.mkfifo(root / "wheels" / "fifo")
    with pytest.raises(BundleDamagedError) as error:
        check(root)
    assert error.value.faults == {"added": ("wheels/fifo",)}


def test_a_name_that_stands_twice_in_a_tar_file(root, tmp_path):
    file = pack(root, tmp_path / "b.tar")
    with tarfile.open(file, "a") as tar:
        entry = tarfile.TarInfo(A)
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"evil"))
    with pytest.raises(BundleDamagedError) as error:
        check(file)
    assert error.value.faults == {"not a file": (A,)}


def test_a_tar_file_that_ends_early(root, tmp_path):
    file = pack(root, tmp_path / "b.tar")
    file.write_bytes(file.read_bytes()[:2500])
    with pytest.raises((BundleDamagedError, BundleInvalidError)):
        check(file)


@pytest.mark.parametrize("content", [None, b"", b"no tar file"])
def test_what_is_no_bundle(tmp_path, content):
    path = tmp_path / "b.tar"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BundleInvalidError):
        check(path)


def test_without_a_manifest_it_is_still_meant_as_one(root):
    (root / "manifest.json").unlink()
    assert is_bundle(root)
    with pytest.raises(BundleInvalidError, match=r"no manifest\.json"):
        check(root)


def test_a_plain_wheelhouse_is_none(tmp_path):
    (tmp_path / "a.whl").touch()
    assert not is_bundle(tmp_path)
    assert manifest().bytes == sum(map(len, CONTENTS.values()))
