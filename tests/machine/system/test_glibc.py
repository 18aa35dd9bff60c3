"""glibc answers for itself; on musl the loader is the answer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.machine.trees import plant, program
from verl_env.machine.model import UNKNOWN
from verl_env.machine.roots import Roots
from verl_env.machine.system import glibc
from verl_env.machine.system.glibc import Libc, parse_musl, read_libc

if TYPE_CHECKING:
    from pathlib import Path

LOADER = "/lib/ld-musl-x86_64.so.1"
BANNER = "musl libc (x86_64)\nVersion 1.2.5\nDynamic Program Loader\nUsage: x [options] [--] pathname\n"


def answer(monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    def confstr(name: str) -> str | None:
        assert name == "CS_GNU_LIBC_VERSION"
        return text

    monkeypatch.setattr(os, "confstr", confstr)


@pytest.mark.parametrize(
    ("text", "version"),
    [("glibc 2.36", "2.36"), ("glibc 2.17", "2.17"), ("glibc 2.39.9000", "2.39"), ("glibc 2.20-2014.11", "2.20")],
)
def test_glibc_says_so(text: str, version: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answer(monkeypatch, text)
    assert read_libc(plant(tmp_path, {})) == Libc(version, None, "confstr")


def test_musl_beside_glibc_does_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answer(monkeypatch, "glibc 2.31")
    assert read_libc(plant(tmp_path, {LOADER: ""})).musl is None


def test_musl_is_told_by_its_loader(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answer(monkeypatch, None)
    program(tmp_path, LOADER, stderr=BANNER, code=1)
    assert read_libc(Roots(tmp_path)) == Libc(None, "1.2.5", LOADER)


def test_a_loader_that_does_not_run_is_musl_of_unknown_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answer(monkeypatch, None)
    assert read_libc(plant(tmp_path, {LOADER: "not a program"})) == Libc(None, UNKNOWN, LOADER)


def test_a_loader_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answer(monkeypatch, None)
    monkeypatch.setattr(glibc, "_SECONDS", 0.1)
    program(tmp_path, LOADER, script="exec sleep 60")
    assert read_libc(Roots(tmp_path)).musl is UNKNOWN


@pytest.mark.parametrize("error", [ValueError, OSError, AttributeError])
def test_a_c_library_that_does_not_know_the_question(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def confstr(_: str) -> str:
        raise error

    monkeypatch.setattr(os, "confstr", confstr)
    assert read_libc(plant(tmp_path, {})) == Libc(UNKNOWN, UNKNOWN, None)
    program(tmp_path, LOADER, stderr=BANNER, code=1)
    assert read_libc(Roots(tmp_path)).glibc is None


def test_an_unknown_answer_is_unknown_even_beside_musl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answer(monkeypatch, "uclibc 1.0")
    assert read_libc(plant(tmp_path, {LOADER: ""})) == Libc(UNKNOWN, UNKNOWN, None)


@pytest.mark.parametrize(
    ("output", "version"),
    [
        (BANNER.encode(), "1.2.5"),
        (b"Version 1.1\n", "1.1"),
        (b"musl libc\nversion 1.2.5\n", None),
        (b"Version git\n", None),
        (b"", None),
    ],
)
def test_the_banner_of_the_loader(output: bytes, version: str | None) -> None:
    assert parse_musl(output) == version


@given(st.binary())
def test_any_output_is_a_version_or_none(output: bytes) -> None:
    assert parse_musl(output) is None or b"Version" in output
