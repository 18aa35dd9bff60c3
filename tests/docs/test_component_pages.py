"""The page of the native components says what the catalogue does."""

import re
from pathlib import Path

import component_pages as pages
import pytest

from tests.components import samples
from verl_env.components.load import load_catalogue

DOCS = Path(__file__).parents[2] / "docs"
PAGE = pages.components_page()


@pytest.fixture
def sample(tmp_path, monkeypatch):
    """The page of the sample catalogue."""
    monkeypatch.setenv("VERL_ENV_CONSTRAINTS", str(samples.write(tmp_path)))
    return pages.components_page()


def test_every_release_has_a_heading():
    catalogue = load_catalogue()
    for component in map(catalogue.components.get, catalogue.components):
        for release in component.releases:
            assert f"\n### {component.name} {release.version}\n" in PAGE


def test_every_wheel_is_there_with_its_address():
    catalogue = load_catalogue()
    for name in catalogue.components:
        for release in catalogue.components[name].releases:
            for wheel in release.wheels:
                of_index = wheel.url == f"index:{wheel.file}"
                assert (f"| {wheel.file} of the index" if of_index else f"[{wheel.file}]({wheel.url})") in PAGE


def test_a_name_that_lies_is_said_to(sample):
    row = next(line for line in sample.splitlines() if "cp312-cp312" in line)
    assert "new, though its name says FALSE" in row
    assert "2.7, also 2.8" in row
    assert "`abababababab...`" in row
    assert "hash-unrecorded" in next(line for line in sample.splitlines() if "cp310-cp310" in line)


def test_the_system_that_a_wheel_was_made_on_stands_where_nobody_measured():
    row = next(line for line in PAGE.splitlines() if "flash_attn-2.7.4.post1+cu12torch2.6cxx11abiTRUE-cp310" in line)
    assert "| not measured, made on 2.31 |" in row


def test_an_address_that_has_changed_is_said_to():
    rows = [line for line in PAGE.splitlines() if "which has been moved since" in line]
    assert [row.partition("]")[0] for row in rows] == [
        "| [apex-0.1-cp312-cp312-linux_x86_64.whl",
        "| [flash_attn-2.8.3-cp312-cp312-linux_x86_64.whl",
        "| [flash_attn-2.8.3-cp311-cp311-linux_x86_64.whl",
        "| [flash_attn-2.8.3-cp312-cp312-linux_aarch64.whl",
        "| [flash_attn-2.8.3-cp311-cp311-linux_aarch64.whl",
        "| [transformer_engine-2.16.1-cp312-cp312-linux_x86_64.whl",
    ]


def test_what_nobody_knows_is_not_left_out(sample):
    row = next(line for line in sample.splitlines() if "abi3" in line)
    assert row.count("not known") == 3


def test_a_build_is_told_in_full(sample):
    for text in (
        "- source: its source distribution on the index, SHA-256",
        "- tool: nvcc (of the release of torch's CUDA): it says so",
        "- variables: `MAX_JOBS={jobs}`, `FORCE=1`",
        "- memory: about 3 GB a job",
        "- makes: a directory that other builds look into",
        "- command: `make prefix={prefix:fast-thing}`",
        "- link: `{site}/liba.so` to `liba.so.1`",
    ):
        assert text in sample


def test_links_of_lockset_pages_lead_to_headings():
    headings = {pages.anchor(line.removeprefix("### ")) for line in PAGE.splitlines() if line.startswith("### ")}
    found = 0
    for file in (DOCS / "locksets").rglob("*.md"):
        for anchor in re.findall(r"\.\./\.\./components\.md(#[^)]*)\)", file.read_text()):
            assert anchor in headings, file
            found += 1
    assert found


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("flash-attn 2.7.4.post1", "#flash-attn-274post1"),
        ("apex 1.9.0a0+rocm7.0.2", "#apex-190a0rocm702"),
        ("triton improve_fa_decode_3.0.0", "#triton-improve_fa_decode_300"),
    ],
)
def test_anchors_are_made_as_markdown_makes_them(heading, expected):
    assert pages.anchor(heading) == expected
