"""Every lockset has a page that says what it is, and the index names all of them."""

import re
from pathlib import Path

import lockset_parts as parts
import pytest
from lockset_pages import TIERS, index_page, lockset_pages

from tests.each import each
from tests.locksets import samples
from verl_env.cli.stacks import tier
from verl_env.constraints import constraints_directory, parse_toml
from verl_env.locksets.catalogue import load_catalogue
from verl_env.locksets.load import lockset_from
from verl_env.locksets.model import Package

DOCS = Path(__file__).parents[2] / "docs"
SHIPPED = load_catalogue()
PAGES = lockset_pages()
INDEX = PAGES["locksets/README.md"]
UNLOCKED = parse_toml(constraints_directory() / "unlocked.toml")["rows"]
PAGE = f"locksets/{samples.ID}.md"


def sample(**changes):
    return lockset_from(samples.lockset(**changes), Path(f"/c/{samples.ID}/lockset.toml"))


@pytest.fixture
def page(tmp_path, monkeypatch):
    """The page of the sample lockset with some keys changed."""
    monkeypatch.setenv("VERL_ENV_CONSTRAINTS", str(tmp_path))

    def write(**changes):
        samples.write_lockset(tmp_path, **changes)
        return lockset_pages()[PAGE]

    return write


@each("lockset", SHIPPED, lambda lockset: lockset.id)
def test_every_shipped_lockset_has_a_page_that_is_not_stale(lockset):
    file = DOCS / "locksets" / f"{lockset.id}.md"
    assert file.is_file(), "run: python docs/build.py"
    assert file.read_text(encoding="utf-8") == PAGES[f"locksets/{lockset.id}.md"], "run: python docs/build.py"


def test_no_page_is_left_of_a_lockset_that_is_gone():
    written = {str(file.relative_to(DOCS)) for file in (DOCS / "locksets").rglob("*.md")}
    assert not written - PAGES.keys(), "remove them"


@each("lockset", SHIPPED, lambda lockset: lockset.id)
def test_the_index_lists_every_lockset_with_its_tier(lockset):
    [row] = [line for line in INDEX.splitlines() if line.startswith(f"| [{lockset.id}]({lockset.id}.md) |")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1] == lockset.verl
    assert cells[8:] == [tier(lockset, preview=False), "yes" if lockset.preview else "no"]


def test_links_of_the_index_lead_to_pages():
    links = re.findall(r"\]\(([^)]+\.md)\)", INDEX)
    assert len(links) == len(SHIPPED) + 1 + len(UNLOCKED), "each lockset, the evidence, and one instead of each without"
    assert all((DOCS / "locksets" / link).is_file() for link in links)


@each("name", PAGES)
def test_tables_are_whole_and_no_index_is_named(name):
    rows = [line for line in PAGES[name].splitlines() if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
    assert widths <= {3, 4, 5, 6, 7, 8, 11}
    assert not re.search(r"pypi\.|pythonhosted|download\.pytorch\.org|/simple\b", PAGES[name])
    assert all(link.endswith(".whl") for link in re.findall(r"\]\((https?://[^)]+)\)", PAGES[name]))


@each("lockset", SHIPPED, lambda lockset: lockset.id)
def test_a_page_hides_no_deviation_unmet_requirement_native_or_note(lockset):
    text = PAGES[f"locksets/{lockset.id}.md"]
    reasons = [each.reason for each in lockset.deviations]
    reasons += [each.reason for lock in lockset.pythons for each in lock.unmet]
    reasons += [native.reason for native in lockset.natives]
    assert all(parts.prose(reason) in text for reason in [*reasons, *lockset.notes])
    assert all(f"[{native.name} {native.version}](../../components.md#" in text for native in lockset.natives)
    assert all(f"`{name}`" in text for name in lockset.env)
    assert all(parts.prose(gpu.source) in text for gpu in lockset.requires.gpu)
    assert lockset.variant.commit in text


@each("lockset", SHIPPED, lambda lockset: lockset.id)
def test_a_page_says_its_tier_and_offers_an_installation_only_where_there_is_a_lock(lockset):
    text = PAGES[f"locksets/{lockset.id}.md"]
    promise = TIERS[lockset.tier].format(up="../../")
    assert f"**{lockset.tier.capitalize()}**: {promise}." in text
    assert (f"$ verl-env install --stack {'+'.join(lockset.provides)} --lockset {lockset.id}" in text) is bool(
        lockset.pythons
    )
    assert ("It is a preview" in text) is lockset.preview


def test_a_whole_page(page):
    text = page()
    for expected in (
        "- recipe: `docker/Dockerfile.app.engine` of verl's repository",
        "- date: 2025-07-18 (the time of day is not recorded)",
        "- engines: engine 1.2.post3",
        "| engine | 1.0+cu9 |",
        "| accelerate | 1.9.0 |",
        "| NVIDIA driver | 525.60.13 or newer; 550.54.15 or newer for PTX and for all that CUDA 99.1 has | notes |",
        "| GPU, for torch | 8.0, 9.0, and PTX of the highest | measured |",
        "| GPU, for attention | 8.0 or newer | README |",
        "| 3.10 | 4 | 11 B | 22 B | `py3.10.txt` |",
        "Built from source with `setuptools==1`: antlr4-python3-runtime 4.9.3.",
        "- https://example.invalid/engine-1.0+cu9-py3-none-any.whl",
        "| `EMPTY` | (empty) |",
        "### attention 2.0",
        "- needed for: megatron",
        "- the image sets for its build: `JOBS=4`",
        "- published wheels and builds: [attention 2.0](../../components.md#attention-20)",
        "| engine | 1.1 | 1.2.post3 | gone |",
        "| torch | `cudnn==9` | absent | forced | 3.10 |",
        "- where there is a GPU: engine",
        '- said "twice"',
    ):
        assert expected in text.splitlines(), expected
    assert "plain" not in text, "only what matters most is listed"


def test_what_is_not_there_is_said_or_left_out(page):
    text = page(natives=None, deviations=None, env={}, checks=[], notes=None)
    assert "## Native components\n\nNone:" in text
    assert "Nowhere that is known." in text
    for title in ("Variables at run time", "Checks of a finished environment", "Notes"):
        assert f"## {title}" not in text


@pytest.mark.parametrize("rows", ["", "rows = []"])
def test_dockerfiles_without_a_lockset_are_a_table_only_where_there_are_some(page, tmp_path, rows):
    title = "## Dockerfiles without a lockset"
    assert title in INDEX
    if rows:
        (tmp_path / "unlocked.toml").write_text(rows)
    page()
    assert title not in lockset_pages()["locksets/README.md"]


def test_what_the_index_does_not_hold_is_by_where_it_comes_from_and_its_hash():
    every = [
        Package("whole", "1", ("sha256:a",), "url", "https://files.invalid/whole-1-py3-none-any.whl"),
        Package("bare", "2", (), "url", "https://files.invalid/bare-2-py3-none-any.whl"),
        Package("listed", "3", (), "url", "https://index.invalid/rocm"),
        Package("beside", "4", ("sha256:b",), "url", "https://index.invalid/rocm/beside-4-py3-none-any.whl"),
        Package("usual", "5", ("sha256:c",)),
    ]
    lines = [line for line in parts.pythons(sample(), {"3.10": every, "3.11": every}) if line][3:]
    assert lines == [
        "From an address, checked by hash:",
        "- https://files.invalid/whole-1-py3-none-any.whl",
        "From an address, no hash of which is recorded (hash-unrecorded):",
        "- https://files.invalid/bare-2-py3-none-any.whl",
        "From another index, whose address the lock has, checked by hash:",
        "- beside 4",
        "From another index, whose address the lock has, no hash of which is recorded (hash-unrecorded):",
        "- listed 3",
    ]


def test_what_is_recorded_only_says_so(page):
    text = page(tier="recorded", pythons=[], cuda=None)
    assert "It cannot be installed by verl-env: there is no lock." in text
    assert "- for: CUDA (release not stated)" in text
    assert "## Pythons" not in text
    assert "## Requirements left unmet" not in text


def test_a_component_that_every_stack_needs(page):
    native = {"name": "kernels", "version": "3", "reason": "none"}
    assert "- why: none\n- needed for: every stack\n- published wheels and builds:" in page(natives=[native])


def test_versions_that_differ_by_python_are_shown_apart():
    assert parts._by_python({"1": ["3.10", "3.11"]}, ["3.10", "3.11"]) == "1"
    assert parts._by_python({"1": ["3.10"], "2": ["3.11"]}, ["3.10", "3.11"]) == "1 (3.10), 2 (3.11)"
    assert parts._by_python({"1": ["3.10"]}, ["3.10", "3.11"]) == "1 (3.10)"


def test_one_unmet_requirement_of_several_pythons_is_one_row():
    [lock] = sample().pythons
    table = samples.lockset()["pythons"][0]
    both = sample(pythons=[table, {**table, "python": "3.11"}])
    assert [lock.unmet for lock in both.pythons] == [lock.unmet] * 2
    assert parts.unmet(both)[2:] == ["| torch | `cudnn==9` | absent | forced | 3.10, 3.11 |"]


def test_the_index_of_other_accelerators():
    changes = {"accelerator": "rocm", "rocm": "7.0.2", "cuda": None, "preview": True}
    requires = {"arch": ["x86_64"], "rocm": ["7.0"], "gpu": []}
    index = index_page([sample(**changes, requires=requires)])
    [row] = [line for line in index.splitlines() if line.startswith(f"| [{samples.ID}]")]
    assert "| ROCm 7.0.2 | 3.10 | - | not stated | locked | yes |" in row


PROOF = {
    "date": "2026-11-28T08:50:29+00:00",
    "python": "3.10",
    "gpu": "NVIDIA H200",
    "gpus": 1,
    "driver": "580.159.04",
    "natives": {},
}


def test_training_is_shown_where_it_was_proved(page):
    text = page(tier="proven", proofs=[{**PROOF, "ok": True, "parts": {"train-fsdp-vllm": "passed"}}])
    assert "On 1 x NVIDIA H200, driver 580.159.04, with nothing built (2026-11-28), two GRPO steps" in text
    assert "attn_implementation=sdpa" in text
    assert "{" not in text.split("## Training that was seen to work")[1].split("## ")[0]


def test_training_that_failed_is_not_shown(page):
    text = page(tier="installed", proofs=[{**PROOF, "ok": False, "parts": {"train-fsdp-vllm": "failed"}}])
    assert "Training that was seen to work" not in text
