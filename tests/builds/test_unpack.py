import io
import tarfile
import zipfile

import pytest

from verl_env.builds.unpack import ArchiveInvalidError, unpack


def entry(name, *, kind=tarfile.REGTYPE, link="", text="x", mode=0o644):
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.mode, found.size = kind, link, mode, len(text) if kind == tarfile.REGTYPE else 0
    return found, text


def tar(path, *entries, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for info, text in entries:
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:xz", "w:bz2"])
def test_a_tar_of_any_compression(tmp_path, mode):
    path = tar(tmp_path / "a.tar", entry("top/a.txt"), entry("top/run", mode=0o755), mode=mode)
    tree = unpack(path, tmp_path / "out")
    assert tree == tmp_path / "out" / "top"
    assert (tree / "a.txt").read_text() == "x"
    assert (tree / "run").stat().st_mode & 0o700 == 0o700


def test_a_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("top/a.txt", "x")
    assert (unpack(tmp_path / "a.zip", tmp_path / "out") / "a.txt").read_text() == "x"


def test_an_archive_of_several_things_is_its_directory(tmp_path):
    path = tar(tmp_path / "a.tar", entry("a.txt"), entry("b.txt"))
    assert unpack(path, tmp_path / "out") == tmp_path / "out"


def test_links_inside_are_kept(tmp_path):
    links = [entry("top/b", kind=tarfile.SYMTYPE, link="a"), entry("top/c", kind=tarfile.LNKTYPE, link="top/a")]
    tree = unpack(tar(tmp_path / "a.tar", entry("top/a"), *links), tmp_path / "out")
    assert {path.name: path.read_text() for path in tree.iterdir()} == {"a": "x", "b": "x", "c": "x"}
    assert (tree / "b").is_symlink()


def test_devices_are_left_out(tmp_path):
    path = tar(tmp_path / "a.tar", entry("top/a"), entry("top/null", kind=tarfile.CHRTYPE))
    assert [each.name for each in unpack(path, tmp_path / "out").iterdir()] == ["a"]


@pytest.mark.parametrize(
    "entries",
    [
        [entry("../evil")],
        [entry("top/../../evil")],
        [entry("/evil-in-the-root")],
        [entry("top/link", kind=tarfile.SYMTYPE, link="../../evil")],
        [entry("top/link", kind=tarfile.SYMTYPE, link="/etc")],
        [entry("top/link", kind=tarfile.LNKTYPE, link="../evil")],
        [entry("a", kind=tarfile.SYMTYPE, link="."), entry("a/../../evil")],
        [entry("d/e/a", kind=tarfile.SYMTYPE, link="../.."), entry("b", kind=tarfile.SYMTYPE, link="d/e/a/../evil")],
    ],
)
def test_nothing_gets_out(tmp_path, entries):
    path = tar(tmp_path / "a.tar", *entries)
    with pytest.raises(ArchiveInvalidError, match="outside"):
        unpack(path, tmp_path / "inner" / "out")
    assert not [each for each in tmp_path.rglob("*") if "evil" in each.name]


def test_a_zip_that_leads_out(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../evil", "x")
    with pytest.raises(ArchiveInvalidError, match="outside"):
        unpack(tmp_path / "a.zip", tmp_path / "inner" / "out")


@pytest.mark.parametrize("content", [b"", b"<html>please log in</html>", b"\x1f\x8b\x08 not really"])
def test_what_is_no_archive(tmp_path, content):
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(ArchiveInvalidError, match=r"a\.tar\.gz cannot be unpacked"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")
