"""Remembered versions: kept for what decides its own answer, and dropped with anything that it depends on."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.machine.remembered import Remembered
from verl_env.machine.roots import Roots

from .trees import plant

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HOME = {"HOME": "/home/u"}
FILE = "home/u/.cache/verl-env/programs.json"
GCC = "/usr/bin/gcc"


def is_gcc(program: str) -> bool:
    return program.partition("-")[0] == "gcc"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host with one ELF program."""
    plant(tmp_path, {GCC: b"\x7fELF 12.2.0", "/home/u/": "", "/etc/ld.so.cache": "libraries"})
    return tmp_path


def keep(root: Path, version: str = "12.2.0", environ: Mapping[str, str] = HOME, path: str = GCC) -> None:
    kept = Remembered(Roots(root), environ)
    kept.keep(path, is_gcc, version)
    kept.save()


def recall(root: Path, environ: Mapping[str, str] = HOME, path: str = GCC) -> str | None:
    return Remembered(Roots(root), environ).version(path, is_gcc)


def test_what_is_kept_is_recalled(root: Path) -> None:
    assert recall(root) is None
    keep(root)
    assert recall(root) == "12.2.0"
    assert (root / FILE).stat().st_mode & 0o077 == 0o044
    assert (root / FILE).parent.stat().st_mode & 0o077 == 0


def test_one_program_does_not_drop_another(root: Path) -> None:
    plant(root, {"/opt/bin/gcc-13": b"\x7fELF 13"})
    keep(root)
    keep(root, "13.1.0", path="/opt/bin/gcc-13")
    assert (recall(root), recall(root, path="/opt/bin/gcc-13")) == ("12.2.0", "13.1.0")


@pytest.mark.parametrize("changed", ["usr/bin/gcc", "etc/ld.so.cache"])
def test_a_changed_file_is_asked_again(changed: str, root: Path) -> None:
    keep(root)
    content = (root / changed).read_bytes()
    (root / changed).write_bytes(content + b"!")
    assert recall(root) is None


def test_another_file_with_the_same_size_and_time_is_asked_again(root: Path) -> None:
    keep(root)
    before = (root / "usr/bin/gcc").stat()
    (root / "usr/bin/new").write_bytes(b"\x7fELF 13.2.0")
    os.utime(root / "usr/bin/new", ns=(before.st_atime_ns, before.st_mtime_ns))
    (root / "usr/bin/new").replace(root / "usr/bin/gcc")
    assert recall(root) is None


@pytest.mark.parametrize("name", ["LD_LIBRARY_PATH", "LD_PRELOAD"])
def test_the_variables_of_the_loader_count(name: str, root: Path) -> None:
    keep(root)
    assert recall(root, {**HOME, name: "/elsewhere"}) is None
    assert recall(root, {**HOME, "LANG": "C"}) == "12.2.0"


def test_a_link_that_leads_elsewhere_is_asked_again(root: Path) -> None:
    plant(root, {"/usr/bin/gcc-13": b"\x7fELF 13"})
    (root / "usr/bin/gcc").rename(root / "usr/bin/gcc-12")
    (root / "usr/bin/gcc").symlink_to("gcc-12")
    keep(root)
    assert recall(root) == "12.2.0"
    (root / "usr/bin/gcc").unlink()
    (root / "usr/bin/gcc").symlink_to("gcc-13")
    assert recall(root) is None


@pytest.mark.parametrize(
    "content", [b'#!/bin/sh\nexec gcc-12 "$@"\n', b'#!/bin/sh\n[ $X ] && exec /a/gcc\nexec /b/gcc "$@"\n', b""]
)
def test_what_may_answer_otherwise_each_time_is_not_kept(content: bytes, root: Path) -> None:
    (root / "usr/bin/gcc").write_bytes(content)
    keep(root)
    assert recall(root) is None
    assert not (root / FILE).exists()


def test_a_masquerade_is_not_kept(root: Path) -> None:
    plant(root, {"/usr/bin/ccache": b"\x7fELF ccache", "/usr/lib/ccache/": ""})
    (root / "usr/lib/ccache/gcc").symlink_to("../../bin/ccache")
    keep(root, path="/usr/lib/ccache/gcc")
    assert recall(root, path="/usr/lib/ccache/gcc") is None


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_wrapper_that_does_nothing_else_is_the_program_itself(quote: str, root: Path) -> None:
    plant(root, {"/usr/local/bin/gcc": f'#!/bin/sh\nexec {quote}{GCC}{quote} "$@"\n'})
    keep(root, path="/usr/local/bin/gcc")
    assert recall(root, path="/usr/local/bin/gcc") == "12.2.0"
    (root / "usr/bin/gcc").write_bytes(b"\x7fELF 13.2.0 ")
    assert recall(root, path="/usr/local/bin/gcc") is None


def test_the_place_follows_the_variables(root: Path) -> None:
    plant(root, {"/scratch/": ""})
    keep(root, environ={**HOME, "XDG_CACHE_HOME": "/scratch/cache/"})
    assert (root / "scratch/cache/verl-env/programs.json").exists()
    assert not (root / FILE).exists()
    keep(root, environ={**HOME, "XDG_CACHE_HOME": "relative"})
    assert (root / FILE).exists()


@pytest.mark.parametrize(
    "environ",
    [{"HOME": "/nowhere"}, {**HOME, "XDG_CACHE_HOME": "/scratch/u/cache"}, {"HOME": "/home/u/gone/"}],
)
def test_no_place_is_made_below_a_home_that_is_not_there(root: Path, environ: dict[str, str]) -> None:
    before = sorted(root.rglob("*"))
    keep(root, environ=environ)
    assert sorted(root.rglob("*")) == before
    assert recall(root, environ=environ) is None


def test_without_a_place_nothing_is_kept(root: Path) -> None:
    keep(root, environ={})
    assert recall(root, environ={}) is None
    assert not list(root.rglob("programs.json"))


def test_another_release_asks_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(root)
    monkeypatch.setattr("verl_env.machine.remembered.__version__", "99.0")
    assert recall(root) is None


def test_a_place_that_cannot_be_written_is_no_error(root: Path) -> None:
    shutil.rmtree(root / "home/u")
    (root / "home/u").write_text("a file")
    keep(root)
    assert recall(root) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"programs": []}',
        '{"verl-env": "0.1.0", "programs": {"/usr/bin/gcc": "12"}}',
        "[" * 99999,
    ],
)
def test_a_damaged_file_is_replaced(text: str, root: Path) -> None:
    plant(root, {FILE: text})
    assert recall(root) is None
    keep(root)
    assert recall(root) == "12.2.0"


@given(data=st.data())
def test_a_file_that_is_cut_gives_the_version_or_none(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("host")
    plant(root, {GCC: b"\x7fELF 12.2.0", "/home/u/": ""})
    keep(root)
    text = (root / FILE).read_text()
    (root / FILE).write_text(text[: data.draw(st.integers(0, len(text)))])
    assert recall(root) in {None, "12.2.0"}
    json.loads(text)
