"""Every Dockerfile of the recorded facts has a lockset, or a stated reason and a lockset to take instead."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from verl_env.constraints import constraints_directory, parse_toml
from verl_env.locksets.catalogue import load_catalogue

FACTS = Path(__file__).parents[3] / "shared" / "facts" / "variants.yaml"
ROWS = parse_toml(constraints_directory() / "unlocked.toml")["rows"]
LOCKSETS = {lockset.id: lockset for lockset in load_catalogue()}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["facts_id"])
def test_each_names_a_lockset_instead(row: dict[str, str]) -> None:
    assert row["instead"] in LOCKSETS
    assert len(row["reason"]) > 30
    assert len(row["commit"]) == 40


def test_none_is_there_twice_or_has_a_lockset() -> None:
    ids = [row["facts_id"] for row in ROWS]
    assert len(ids) == len(set(ids))
    assert not set(ids) & {lockset.variant.facts_id for lockset in LOCKSETS.values()}


def test_no_dockerfile_is_passed_over_in_silence() -> None:
    if not FACTS.is_file():
        pytest.skip("no facts of the variants lie beside this checkout")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    variants = yaml.load(FACTS.read_text(), Loader=loader)["variants"]  # a safe loader
    held = {lockset.variant.facts_id for lockset in LOCKSETS.values()} | {row["facts_id"] for row in ROWS}
    assert {variant["id"] for variant in variants} <= held
    stated = {variant["id"]: variant["source"] for variant in variants}
    for row in ROWS:
        source = stated[row["facts_id"]]
        assert (row["path"], row["commit"]) == (source["path"], source["commit"])
