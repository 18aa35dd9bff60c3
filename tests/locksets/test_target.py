from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.tags import Tag

from verl_env.locksets.target import LockTarget, glibc_of

JAMMY = LockTarget("3.10", "x86_64", "2.35")


@pytest.mark.parametrize(
    ("tag", "taken"),
    [
        ("cp310-cp310-manylinux_2_35_x86_64", True),
        ("cp310-cp310-manylinux_2_36_x86_64", False),
        ("cp310-cp310-manylinux2014_x86_64", True),
        ("cp310-cp310-manylinux1_x86_64", True),
        ("cp310-cp310-manylinux2014_aarch64", False),
        ("cp310-cp310-linux_x86_64", True),
        ("cp38-abi3-manylinux1_x86_64", True),
        ("cp311-abi3-manylinux1_x86_64", False),
        ("cp311-cp311-manylinux2014_x86_64", False),
        ("cp310-none-any", True),
        ("py3-none-any", True),
        ("py310-none-any", True),
        ("py3-none-manylinux2010_x86_64", True),
        ("py2-none-any", False),
        ("cp310-cp310-musllinux_1_2_x86_64", False),
        ("cp310-cp310-macosx_11_0_arm64", False),
    ],
)
def test_which_wheels_a_target_takes(tag, taken):
    assert (Tag(*tag.split("-")) in JAMMY.tags) is taken


def test_the_nearest_tag_ranks_first():
    order = ["cp310-cp310-manylinux_2_35_x86_64", "cp310-cp310-manylinux2014_x86_64", "cp38-abi3-manylinux1_x86_64"]
    order += ["py3-none-manylinux2014_x86_64", "py3-none-any"]
    ranks = [JAMMY.tags[Tag(*tag.split("-"))] for tag in order]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == len(ranks)


def test_an_older_glibc_takes_fewer_wheels():
    old = LockTarget("3.10", "x86_64", "2.17")
    assert Tag("cp310", "cp310", "manylinux_2_28_x86_64") not in old.tags
    assert Tag("cp310", "cp310", "manylinux2014_x86_64") in old.tags
    assert old.tags.keys() < JAMMY.tags.keys()


def test_names_in_the_words_of_others():
    assert JAMMY.uv_platform == "x86_64-manylinux_2_35"
    assert JAMMY.python_full == "3.10.0"
    assert JAMMY.markers["python_version"] == "3.10"
    assert LockTarget("3.12", "aarch64", "2.39").markers["platform_machine"] == "aarch64"


@pytest.mark.parametrize(
    ("platform", "glibc"),
    [
        ("manylinux1_x86_64", "2.5"),
        ("manylinux2010_x86_64", "2.12"),
        ("manylinux2014_aarch64", "2.17"),
        ("manylinux_2_28_x86_64", "2.28"),
        ("linux_x86_64", None),
        ("any", None),
        ("musllinux_1_2_x86_64", None),
    ],
)
def test_the_glibc_of_a_tag(platform, glibc):
    assert glibc_of(Tag("py3", "none", platform)) == glibc


@given(minor=st.integers(5, 60), python=st.sampled_from(["3.9", "3.10", "3.13"]))
def test_every_manylinux_tag_of_a_target_is_at_most_its_glibc(minor, python):
    target = LockTarget(python, "x86_64", f"2.{minor}")
    promised = [glibc_of(tag) for tag in target.tags]
    assert max(int(glibc.split(".")[1]) for glibc in promised if glibc) == minor
