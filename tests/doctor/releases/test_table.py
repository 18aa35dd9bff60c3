"""The table of releases: made from an index, asked for what a release wants, honest about what is newer."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from verl_env.doctor.facts import Facts
from verl_env.doctor.releases import collect
from verl_env.doctor.releases.known import known_of
from verl_env.doctor.releases.table import asked, everything, projects, release, releases, standing
from verl_env.doctor.tables import pinned
from verl_env.locksets.index import Index

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("project", "version", "package", "specifier"),
    [
        ("vllm", "0.33.0", "torch", "==2.14.0"),
        ("vllm", "0.33.0", "flashinfer-python", "==0.7.2.post1"),
        ("vllm", "0.25.0", "torch", "==2.11.0"),
        ("vllm", "0.8.5.post1", "torch", "==2.6.0"),
        ("sglang", "0.5.23", "torch", "==2.14.1"),
        ("sglang", "0.5.23", "sglang-kernel", "==0.4.10"),
        ("sglang", "0.4.6.post5", "sgl-kernel", "==0.1.4"),
        ("torch", "2.12.0", "triton", "==3.7.0"),
        ("vllm", "0.33.0", "left-pad", None),
        ("vllm", "99.0", "torch", None),
    ],
)
def test_what_a_release_asks_for(project: str, version: str, package: str, specifier: str | None) -> None:
    assert asked(project, version, package, {}) == specifier


def test_every_release_of_the_engines_of_this_year_is_there() -> None:
    assert {Version(f"0.{minor}.0") for minor in range(25, 34)} <= set(releases("vllm"))
    assert {Version(f"0.5.{patch}") for patch in range(14, 24)} <= set(releases("sglang"))
    assert set(collect.PROJECTS) == set(projects())


def test_a_local_version_is_its_release() -> None:
    assert pinned("vllm", Version("0.19.0+cu129"), "torch") == pinned("vllm", Version("0.19.0"), "torch") == "2.10.0"


def test_what_is_newer_is_unknown() -> None:
    assert standing("vllm", "0.33.0") == "known"
    assert standing("vllm", "7.0") == "newer"
    assert standing("vllm", "0.8.99") == "never-on-index"
    assert standing("left-pad", "1.0") == "not-a-project"
    assert any("newer than what is known" in line for line in known_of("vllm", Facts(packages={"vllm": "7.0"})))


def test_markers_decide() -> None:
    machine = {"platform_machine": "aarch64"}

    assert "triton" in everything("torch", "2.6.0", {})
    assert "triton" not in everything("torch", "2.6.0", machine)


def test_known_of_tells_what_does_not_fit() -> None:
    facts = Facts(packages={"vllm": "0.33.0", "torch": "2.13.0+cu130"})

    lines = known_of("vllm", facts)

    assert "2026-11-02" in lines[0]
    assert any("torch==2.14.0" in line and "2.13.0+cu130" in line for line in lines)


def _index(folder: Path, name: str, version: str, requires: list[str], *, beside: bool) -> None:
    page = folder / name
    page.mkdir(parents=True, exist_ok=True)
    file = page / f"{name}-{version}-py3-none-any.whl"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: >=3.10\n"
    metadata += "".join(f"Requires-Dist: {line}\n" for line in requires)
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr(f"{name}-{version}.dist-info/METADATA", metadata)
    if beside:
        file.with_name(f"{file.name}.metadata").write_text(metadata)
    links = "".join(f'<a href="{one.name}">{one.name}</a>' for one in sorted(page.glob("*.whl")))
    (page / "index.html").write_text(links)


@pytest.mark.parametrize("beside", [True, False])
def test_made_from_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, beside: bool) -> None:
    monkeypatch.setattr(collect, "PROJECTS", ("vllm",))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    wanted = ["torch==2.0", "left-pad", 'numpy; extra == "docs"', 'xgrammar==1; extra == "all"']
    _index(tmp_path, "vllm", "1.0", wanted, beside=beside)
    _index(tmp_path, "vllm", "1.1rc1", [], beside=beside)
    index, file = Index(tmp_path.as_uri()), tmp_path / "table.json"

    assert collect.write(index, "2026-01-01", file=file, say=str) == 1
    assert json.loads(file.read_text())["projects"]["vllm"] == {
        "1.0": {"date": None, "python": ">=3.10", "requires": ["torch==2.0", 'xgrammar==1; extra == "all"']}
    }
    assert collect.differences(index, file=file) == ()

    _index(tmp_path, "vllm", "1.2", ["torch==3.0"], beside=beside)
    fresh = Index(tmp_path.as_uri())
    assert collect.differences(fresh, file=file) == ("vllm 1.2 is not in the table",)
    assert collect.write(fresh, "2026-01-02", file=file, say=str) == 1


def test_a_row_that_is_wrong_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "PROJECTS", ("vllm",))
    _index(tmp_path, "vllm", "1.0", ["torch==2.0"], beside=True)
    index, file = Index(tmp_path.as_uri()), tmp_path / "table.json"
    collect.write(index, "2026-01-01", file=file, say=str)
    file.write_text(file.read_text().replace("torch==2.0", "torch==2.1"))

    assert collect.differences(index, file=file) == ("vllm 1.0 is not what the index says",)


def test_dates() -> None:
    found = release("vllm", "0.33.0")
    assert found is not None
    assert found.date == "2026-11-02"
