"""Hashes of locks that are there, from an index made here; and what pip makes of the files."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.locksets import samples
from tests.locksets.test_make import UNMET
from verl_env.installers.step_resolver import UvResolver
from verl_env.locksets.catalogue import load_catalogue, packages_of
from verl_env.locksets.errors import FileMissingError
from verl_env.locksets.index import Index
from verl_env.locksets.load import LOCKSET_FILE
from verl_env.locksets.locking import check_offline, lock


@pytest.fixture
def root(tmp_path, folder):
    """A lockset for two Pythons, with wheels for each, for other platforms and for a later glibc."""
    samples.fill(folder)
    for tag in ("cp311-cp311-manylinux1_x86_64", "cp310-cp310-win_amd64", "cp310-cp310-manylinux_2_34_x86_64"):
        folder.add("torch", "8.8.0", ["numpy", "cudnn==1.0"], tag=tag, size=100)
    for tag in (
        "cp311-cp311-manylinux_2_17_x86_64",
        "cp311-cp311-manylinux_2_17_aarch64",
        "cp310-cp310-macosx_11_0_arm64",
    ):
        folder.add("numpy", "1.26.4", tag=tag)
    root = tmp_path / "constraints"
    samples.write_recipe(root, unmet=UNMET, pythons=["3.10", "3.11"])
    lock([], directory=root, index=Index(folder.url), resolver=UvResolver)
    return root


@pytest.fixture
def run(root, folder):
    sources = {"directory": root, "index": Index(folder.url), "resolver": UvResolver}
    return lambda **options: lock([], hashes=True, **sources, **options)[0].differences


def hashes(root, name, python="3.10"):
    (lockset,) = load_catalogue(root)
    return next(package.hashes for package in packages_of(lockset, python, root) if package.name == name)


def spoil(root, old, new):
    """Changes the texts of the locks."""
    for file in (root / samples.ID).glob("py*.txt"):
        file.write_text(file.read_text().replace(old, new))


def test_what_locking_wrote_is_what_the_index_says(root, run):
    assert run(check=True) == ()
    assert len(hashes(root, "torch")) == 2
    assert len(hashes(root, "numpy")) == len(hashes(root, "numpy", "3.11")) == 1


def test_pythons_share_what_they_take_alike(root):
    names = sorted(file.name for file in (root / samples.ID).glob("py*.txt"))
    assert names == ["py3.10-3.11.txt", "py3.10.txt", "py3.11.txt"]
    texts = {name: (root / samples.ID / name).read_text() for name in names}
    assert "\nhelper==1.0" in texts["py3.10-3.11.txt"]
    assert "helper" not in texts["py3.10.txt"] + texts["py3.11.txt"]
    assert "torch" not in texts["py3.10-3.11.txt"]


def test_a_hash_that_is_missing_is_told_and_put_back(root, run):
    (first, second) = hashes(root, "torch")
    spoil(root, f"    --hash={first} \\\n", "")
    assert "py3.10.txt: ~ torch 8.8.0: 0 of its files are gone, 1 are new" in run(check=True)
    run()
    assert hashes(root, "torch") == (first, second)


def test_a_file_of_another_platform_that_a_lock_names_goes(root, run, folder):
    stray = folder.add("numpy", "1.26.4", tag="cp310-cp310-win32", size=7)
    (there,) = hashes(root, "numpy")
    spoil(root, f"    --hash={there}\n", f"    --hash={there} \\\n    --hash=sha256:{stray}\n")
    assert "py3.10.txt: ~ numpy 1.26.4: 1 of its files are gone, 0 are new" in run(check=True)


def test_later_files_are_no_part_of_a_lock_and_lost_ones_stay(root, run, folder):
    folder.add("numpy", "1.26.4", tag="cp310-cp310-manylinux_2_28_x86_64", uploaded="2026-01-01T00:00:00Z")
    assert run(check=True) == ()
    folder.links["torch"] = [link for link in folder.links["torch"] if "manylinux_2_34" not in link]
    folder.write()
    assert run(check=True) == ()


def test_a_release_of_which_no_file_is_left_is_an_error(root, run, folder):
    folder.links["numpy"] = [link for link in folder.links["numpy"] if "cp310" not in link and "tar.gz" not in link]
    folder.write()
    with pytest.raises(FileMissingError, match=r"1\.26\.4"):
        run(check=True)


def test_the_files_agree_and_nothing_else_changed(root, run):
    before = (root / samples.ID / LOCKSET_FILE).read_text()
    run()
    assert (root / samples.ID / LOCKSET_FILE).read_text() == before
    assert all(not outcome.differences for outcome in check_offline(root))


@pytest.mark.slow
@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_installers_take_a_lock_of_several_files(root, folder, tmp_path, installer):
    file = root / samples.ID / "shared.txt"
    file.write_text("# as the file of a Python has it\n-r py3.10-3.11.txt\n")
    place = tmp_path / "target"
    options = ["--no-index", "--find-links", (folder.root / "files").as_uri(), "--no-deps", "--require-hashes"]
    tool = ["-m", "pip", "install", "-q"] if installer == "pip" else ["-m", "uv", "pip", "install", "-q"]
    done = subprocess.run(
        [sys.executable, *tool, *options, "--target", str(place), "-r", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shared = {"cudnn", "engine", "helper", "verl"}
    assert {each.name for each in place.iterdir() if not each.name.endswith((".dist-info", "bin"))} >= shared
