"""What a source binds, and in which releases it was."""

from __future__ import annotations

import gzip
import textwrap
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from verl_env.doctor.names import collect, known, table
from verl_env.doctor.names.scan import names_of
from verl_env.doctor.names.spans import owners, parsed, spans_of, written
from verl_env.doctor.names.wheel import sources, texts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def own_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


SOURCE = textwrap.dedent(
    """
    from vllm.utils.network import get_ip as ip
    import os
    __all__ = ["lazy"]
    LIMIT: int = 3
    a, b = 1, 2
    try:
        import fast
    except ImportError:
        def slow(x, *, y=1, **rest): ...
    class C(Base):
        kind = "c"
        _hidden = 1
        def __init__(self, size, self_made=None):
            self.size = size
            self.shape: tuple = ()
            if self.size == 3: pass
            other.thing = 1
        def run(self, steps): self._own = 1
        async def _inner(self): ...
    """
)


def test_names_of_a_module() -> None:
    found = names_of(SOURCE, package=False)

    assert found == {
        "__all__", "lazy", "LIMIT", "a", "b", "slow", "slow(x", "slow(y", "slow(**", "C", "C.kind", "C(size",
        "C(self_made", "C.size", "C.shape", "C.run", "C.run(steps",
    }  # fmt: skip


def test_a_package_publishes_what_it_imports() -> None:
    found = names_of(SOURCE, package=True)

    assert found is not None
    assert {"ip", "os", "fast"} <= found


def test_lists_of_lazy_modules_are_names() -> None:
    text = '_import_structure = {"generation": ["GenerationMixin"]}\n_import_structure["x"].extend(["CLIPModel"])\n'

    assert {"GenerationMixin", "CLIPModel"} <= (names_of(text, package=True) or set())


def test_what_is_no_python_has_no_names() -> None:
    assert names_of("print 'x'", package=False) is None
    assert names_of("\0", package=False) is None


@pytest.mark.parametrize(("places", "text"), [([0, 1, 2], "0-2"), ([0, 2, 3], "0,2-3"), ([5], "5")])
def test_spans_are_written_and_read(places: list[int], text: str) -> None:
    assert written(spans_of(places)) == text
    assert parsed(text) == spans_of(places)


def test_owners_of_members_and_arguments() -> None:
    assert list(owners("m:C.run(steps")) == ["m:C.run", "m:C"]
    assert list(owners("m:C.size")) == ["m:C"]
    assert list(owners("m:C")) == []


@dataclass
class File:
    url: str


def wheel(path: Path, files: dict[str, str]) -> File:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return File(path.as_uri())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A project of three releases, read from wheels and kept as a table."""
    first = {
        "p/__init__.py": "from p.utils import old\n",
        "p/utils.py": "def old(a, gone): ...\nclass C:\n def m(self): ...\n",
        "p/tests/test_x.py": "def test_it(): ...\n",
        "p/lib.so": "x" * 50_000,
    }
    second = {**first, "p/utils.py": "def old(a): ...\nclass C:\n def n(self): ...\n"}
    third = {
        "p/__init__.py": "",
        "p/net/__init__.py": "def old(a): ...\n",
        "p/utils.py": "class C:\n def n(self): ...\n",
    }
    files = {
        version: wheel(tmp_path / f"{version}.whl", there)
        for version, there in (("1.0", first), ("1.1", second), ("2.0", third))
    }
    (tmp_path / "p.gz").write_bytes(collect.packed(collect._read("p", files), "2026-11-28"))  # type: ignore[arg-type]
    for module in (table, collect):
        monkeypatch.setattr(module, "FOLDER", tmp_path)
    table.surface.cache_clear()
    known._by_tail.cache_clear()
    yield "p"
    table.surface.cache_clear()
    known._by_tail.cache_clear()


def test_only_sources_are_fetched(tmp_path: Path) -> None:
    file = wheel(tmp_path / "w.whl", {"p/a.py": "A = 1\n", "p/b.so": "x" * 600_000, "p/c.py": "C = 1\n"})
    there = sources(file.url)

    assert [(one.path, text) for one, text in texts(file.url, there)] == [("p/a.py", "A = 1\n"), ("p/c.py", "C = 1\n")]


@pytest.mark.parametrize(
    ("module", "name", "text"),
    [
        ("p.utils", "old", "p has p.utils.old until 1.1 (index read 2026-11-28)"),
        ("p", "old", "p has p.old until 1.1 (index read 2026-11-28)"),
        ("p.net", "", "p has p.net in 2.0 alone (index read 2026-11-28)"),
        ("", "old(gone", "p has p.utils.old(… gone) in 1.0 alone (index read 2026-11-28)"),
        ("", "C.m", "p has p.utils.C.m in 1.0 alone (index read 2026-11-28)"),
    ],
)
def test_history(project: str, module: str, name: str, text: str) -> None:
    found = known.history(project, module=module, name=name)

    assert found is not None
    assert found.text == text


def test_of_what_the_table_does_not_tell_nothing_is_said(project: str) -> None:
    assert known.history(project, module="p.utils", name="C") is None  # always there
    assert known.history(project, name="C.n") is None  # came and stayed
    assert known.history(project, module="p.tests.test_x") is None
    assert known.history("nobody", module="nobody.x") is None


def test_where_it_is_now_and_which_release_has_it(project: str) -> None:
    found = known.history(project, module="p.utils", name="old")

    assert known.elsewhere(project, "old", Version("2.0"), beside="p.utils") == ("p.net",)
    assert known.elsewhere(project, "old", Version("9.9")) == ()
    assert found is not None
    assert [found.nearest(Version(one)) for one in ("2.0", "1.1", "0.9")] == ["1.1", None, "1.0"]
    assert known.knows(project, "C.m")


def test_a_second_run_reads_no_source_again(project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {version: File((tmp_path / f"{version}.whl").as_uri()) for version in ("1.0", "1.1", "2.0")}
    before = table.surface(project)
    asked: list[object] = []
    monkeypatch.setattr(collect, "texts", lambda _, wanted: asked.extend(wanted) or ())

    again = collect._read(project, files)  # type: ignore[arg-type]

    assert asked == []
    assert before is not None
    assert before.spans.items() <= again.spans.items()


def test_a_damaged_memory_is_none(project: str) -> None:
    collect._memory(project).write_bytes(b"no archive")

    assert collect.recalled(project) == {}


def test_what_is_told(project: str) -> None:
    assert known.told("p", "p.utils", "old", Version("2.0")) == (
        "p has p.utils.old until 1.1 (index read 2026-11-28)",
        "in p 2.0 old is in p.net",
    )
    assert known.told("p", "p.nothing", "at_all", None) == ()


def test_the_kept_tables_are_whole() -> None:
    for name in table.projects():
        kept = table.surface(name)
        assert kept is not None
        assert kept.project == name
        assert kept.spans
        assert all(0 <= first <= last < len(kept.releases) for spans in kept.spans.values() for first, last in spans)
        assert list(kept.releases) == sorted(kept.releases, key=Version)
        assert gzip.decompress((table.FOLDER / f"{name}.gz").read_bytes()).endswith(b"\n")


def test_the_table_says_what_is_known_of_vllm() -> None:
    found = known.history("vllm", name="WeightsMapper.get_unstacked_mapper")

    assert found is not None
    assert found.releases[found.spans[-1][1]] == "0.28.0"
