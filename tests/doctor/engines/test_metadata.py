"""Distributions as installers leave them, whole and broken."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from verl_env.doctor.engines.metadata import by_name, read_distribution, scan_site, sites_of, user_site

if TYPE_CHECKING:
    from pathlib import Path

    from tests.doctor.conftest import Environment


def test_a_whole_distribution(environment: Environment) -> None:
    info = environment.add(
        "Flash_Attn", "2.8.3+cu12", requires=("torch", "einops; extra == 'x'"), tag="cp310-cp310-linux_x86_64"
    )

    found = read_distribution(str(info))

    assert (found.name, found.version, found.installer) == ("flash-attn", "2.8.3+cu12", "uv")
    assert found.requires == ("torch", "einops; extra == 'x'")
    assert found.tags == ("cp310-cp310-linux_x86_64",)
    assert found.record == info / "RECORD"


def test_where_it_came_from(environment: Environment) -> None:
    wheel = environment.add("a", "1", direct_url=json.dumps({"url": "https://x/a-1.whl", "archive_info": {}}))
    source = environment.add("b", "1", direct_url=json.dumps({"url": "file:///src/b", "dir_info": {"editable": True}}))
    broken = environment.add("c", "1", direct_url="{")

    assert read_distribution(str(wheel)).url == "https://x/a-1.whl"
    assert read_distribution(str(source)).editable == "/src/b"
    assert read_distribution(str(broken)).url is None


def test_a_directory_without_metadata_keeps_its_name(environment: Environment) -> None:
    (environment.site / "half_done-1.2.dist-info").mkdir()

    found = read_distribution(str(environment.site / "half_done-1.2.dist-info"))

    assert (found.name, found.version) == ("half-done", None)


def test_egg_info_file_and_directory(environment: Environment) -> None:
    (environment.site / "old-1.0-py3.10.egg-info").write_text("Name: old\nVersion: 1.0\n")
    (environment.site / "dev.egg-info").mkdir()
    (environment.site / "dev.egg-info" / "PKG-INFO").write_text("Name: dev\nVersion: 2.0\n\n")

    found = {one.name: one.version for one in scan_site(environment.site).distributions}

    assert found == {"old": "1.0", "dev": "2.0"}


def test_leftovers_and_added_paths(environment: Environment, tmp_path: Path) -> None:
    (environment.site / "~umpy").mkdir()
    (tmp_path / "src").mkdir()
    (environment.site / "x.pth").write_text(f"# comment\nimport os\n{tmp_path / 'src'}\n/no/such/place\n")

    site = scan_site(environment.site)

    assert site.leftovers == ("~umpy",)
    assert site.added == (str(tmp_path / "src"),)


def test_a_place_that_cannot_be_listed_is_empty(tmp_path: Path) -> None:
    assert scan_site(tmp_path / "none").distributions == ()


def test_sites_count_once(environment: Environment) -> None:
    (environment.prefix / "lib64").symlink_to("lib")

    assert sites_of(environment.prefix) == [environment.site]


def test_user_site(tmp_path: Path) -> None:
    site = tmp_path / ".local" / "lib" / "python3.10" / "site-packages"
    site.mkdir(parents=True)

    assert user_site("3.10", {"HOME": str(tmp_path)}) == site
    assert user_site("3.10", {"HOME": str(tmp_path), "PYTHONNOUSERSITE": "1"}) is None
    assert user_site("3.11", {"HOME": str(tmp_path)}) is None


def test_two_of_one_name(environment: Environment) -> None:
    environment.add("a", "1")
    environment.add("a", "2")

    found = by_name(scan_site(environment.site).distributions)

    assert [one.version for one in found["a"]] == ["1", "2"]
