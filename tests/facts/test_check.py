"""Tables are compared with what sources say, and a source that cannot be read decides nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.locksets.indexes import Folder
from verl_env.cli.main import main
from verl_env.facts import check as facts
from verl_env.locksets.index import Index
from verl_env.machine import tables, wheel_tables

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "10de  NVIDIA Corporation\n"
BASE = ("nvidia-nccl-cu13==2.28.9", "nvidia-cudnn-cu13==9.19.0.56; platform_system == 'Linux'", "triton==3.6.0")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def one_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table has one row: torch 2.11.0 on x86_64."""
    (row,) = (row for row in wheel_tables.torch_index_defaults() if (row.torch, row.arch) == ("2.11.0", "x86_64"))
    monkeypatch.setattr(wheel_tables, "torch_index_defaults", lambda: (row,))


def answers(
    tmp_path: Path, requires: tuple[str, ...] = (), pci: str = "", drivers: object = None
) -> list[facts.SourceAnswer]:
    index = Folder(tmp_path / "index")
    tag = "cp312-cp312-manylinux_2_28_x86_64"
    index.add("torch", "2.11.0", ("cuda-toolkit[cublas]==13.0.2", *(requires or BASE)), tag=tag)
    (tmp_path / "pci.ids").write_text(pci or f"{HEAD}\t2901  GB100 [B200]\n")
    (tmp_path / "drivers.json").write_text(json.dumps(drivers or {"580": {"type": "lts branch"}}))
    (tmp_path / "amdgpu.rst").write_text('"30.10.x", "6.2.x, 6.3.x, 6.4.x, 7.0.x, 7.1.x, 7.2.x, 7.14.x, 10.0.0"')
    named = (tmp_path / name for name in ("pci.ids", "drivers.json", "amdgpu.rst"))
    return list(facts.check(Index(index.url), *map(str, named)))


@pytest.mark.usefixtures("one_torch")
def test_what_agrees_is_no_difference(tmp_path: Path) -> None:
    assert [(each.compared, each.differences, each.unreachable) for each in answers(tmp_path)] == [
        (1, (), None),
        (1, (), None),
        (1, (), None),
        (1, (), None),
    ]


@pytest.mark.usefixtures("one_torch")
@pytest.mark.parametrize(
    ("requires", "row", "theirs"),
    [
        (("nvidia-nccl-cu13==2.30.0",), "torch 2.11.0 x86_64 nccl", "2.30.0"),
        (("triton==3.7.0",), "torch 2.11.0 x86_64 triton", "3.7.0"),
        (("cuda-toolkit==13.2.2",), "torch 2.11.0 x86_64 build", "cu132"),
    ],
)
def test_another_version_on_the_index_is_a_difference(
    tmp_path: Path, requires: tuple[str, ...], row: str, theirs: str
) -> None:
    (found,) = answers(tmp_path, requires)[0].differences
    assert (found.row, found.theirs) == (row, theirs)


@pytest.mark.usefixtures("one_torch")
@pytest.mark.parametrize("line", ["nvidia-nccl-cu13==9; platform_machine == 'aarch64'", "triton~=3.9.0"])
def test_what_is_for_another_machine_or_a_range_is_none(tmp_path: Path, line: str) -> None:
    assert answers(tmp_path, (line,))[0].differences == ()


@pytest.mark.usefixtures("one_torch")
def test_a_release_without_a_row_is_named(tmp_path: Path) -> None:
    answers(tmp_path)
    index = Folder(tmp_path / "index")
    index.add("torch", "2.99.1", tag="cp312-cp312-manylinux_2_28_x86_64")
    named = (tmp_path / name for name in ("pci.ids", "drivers.json", "amdgpu.rst"))
    found = facts.check(Index(index.url), *map(str, named))[0].differences
    assert ("release 2.99", None, "2.99.1") in [(each.row, each.ours, each.theirs) for each in found]


@pytest.mark.parametrize(
    ("line", "ours", "theirs"),
    [
        ("\t2901  GB100 [B300]\n", "NVIDIA B200", "GB100 [B300]"),
        ("\t29ff  GB100 [B250]\n", None, "GB100 [B250]"),
        ("\t3021  GR100 [Some Rubin]\n", None, "GR100 [Some Rubin]"),
    ],
)
def test_devices_of_the_list(tmp_path: Path, line: str, ours: str | None, theirs: str) -> None:
    (found,) = answers(tmp_path, pci=HEAD + line)[1].differences
    assert (found.ours, found.theirs) == (ours, theirs)


@pytest.mark.parametrize(
    "line",
    [
        "\t2321  GH100 [H100L 94GB]\n",
        "\t2b00  GB10B [Jetson AGX Thor]\n",
        "\t0fc0  GK107 [GeForce GT 640 OEM]\n",
        "\t22a3  GH100 [H100 NVSwitch]\n",
        "\t2901  GB100 [B200]\n\t\t10de 1999  anything\n",
    ],
)
def test_devices_that_are_none_of_ours_or_agree(tmp_path: Path, line: str) -> None:
    assert answers(tmp_path, pci=HEAD + line)[1].differences == ()


@pytest.mark.parametrize(
    ("drivers", "found"),
    [
        ({"580": {"type": "production branch"}}, [("branch 580", "long-term", "production")]),
        ({"999": {"type": "new feature branch"}}, [("branch 999", None, "new-feature")]),
        ({"580": {}, "390": {"type": "lts branch"}}, []),
    ],
)
def test_driver_branches(tmp_path: Path, drivers: object, found: list[object]) -> None:
    said = answers(tmp_path, drivers=drivers)[2].differences
    assert [(each.row, each.ours, each.theirs) for each in said] == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('    "30.10.x", "6.2.x, 6.3.x, 6.4.x, 7.0.x, 7.1.x, 7.2.x, 7.14.x, 10.0.0"\n', []),
        ("<td><p>6.3.x</p></td>\n<td><p>6.1.x, 6.2.x, 6.3.x, 6.4.x, 7.0.x</p></td>", []),
        ('"99.10.x", "10.0.0, 11.2.x"', [("amdgpu 99.10", None, "10.0, 11.2")]),
        ('"6.0.x", "6.0.x, 6.1.x"', [("amdgpu 6.0", "5.6, 5.7, 6.0, 6.1, 6.2", "6.0, 6.1")]),
        ('"5.3.x", "5.1.x, 5.2.x"', []),
    ],
)
def test_amdgpu_drivers(tmp_path: Path, text: str, found: list[object]) -> None:
    (tmp_path / "matrix").write_text(text)
    said = facts.check(Index(tmp_path.as_uri()), str(tmp_path), str(tmp_path), str(tmp_path / "matrix"))[3]
    assert [(each.row, each.ours, each.theirs) for each in said.differences] == found
    assert said.unreachable is None


def test_the_command_tells_and_exits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", (tmp_path / "nowhere").as_uri())
    (tmp_path / "pci.ids").write_text(f"{HEAD}\t2901  GB100 [B300]\n")
    (tmp_path / "none").write_text("{")
    args = ["facts", "check", "--pci-ids", str(tmp_path / "pci.ids"), "--drivers", str(tmp_path / "none")]
    args += ["--amdgpu", str(tmp_path / "none")]
    assert main(args) == 1
    said = capsys.readouterr().out
    assert "2901: NVIDIA B200, there GB100 [B300]" in said
    assert said.count("not compared") == 3
    assert main([*args, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [len(each["differences"]) for each in document["sources"]] == [0, 1, 0, 0]
    (tmp_path / "pci.ids").write_text("root:x:0:0")
    assert main(args) == 0
    assert "is it a pci.ids?" in capsys.readouterr().out


def test_every_row_that_this_would_compare_has_an_id() -> None:
    assert all(len(each) == 4 for each in {*tables.nvidia_pci_ids(), *tables.amd_pci_ids()})
