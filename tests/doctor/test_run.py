"""Evaluation: what facts and logs make of a check, deadlines, crashes, roots."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.doctor.check import Check
from verl_env.doctor.facts import Facts
from verl_env.doctor.link import linked
from verl_env.doctor.model import Finding, Hit, Remedy, Severity
from verl_env.doctor.run import diagnose, evaluate

if TYPE_CHECKING:
    from collections.abc import Callable

REMEDY = Remedy("do it", ("command",))


def check(name: str, find: Callable[[Facts], Hit | None] | None = None, **more: Any) -> Check:
    values = {"theme": "other", "severity": "error", "title": "t", "cause": "c", "covers": ("A1", "A2")}
    return Check(id=name, remedy=REMEDY, sources=("src#1",), find=find, **{**values, **more})


def finding(name: str, severity: Severity = "error") -> Finding:
    return Finding(name, "other", severity, "t", ("e",), "c", REMEDY, ())


def test_facts_alone() -> None:
    found = evaluate(check("x", lambda _: Hit(("seen",), covers=("A2",))), Facts())

    assert found is not None
    assert (found.basis, found.evidence, found.references) == ("facts", ("seen",), ("failures:A2", "src#1"))


def test_log_alone() -> None:
    found = evaluate(check("x", log=(r"bad \d+",)), Facts(log="fine\n  so bad 42 here\nfine"))

    assert found is not None
    assert (found.basis, found.evidence) == ("log", ("log: so bad 42 here",))


def test_several_lines() -> None:
    found = evaluate(check("x", log=(r"bad\n(?:.*\n)*worse",)), Facts(log="so bad\nand\nworse here\nfine"))

    assert found is not None
    assert found.evidence == ("log: so bad ... worse here",)


def test_both_join_their_evidence_and_the_graver_severity() -> None:
    found = evaluate(check("x", lambda _: Hit(("seen",), severity="warning"), log=("bad",)), Facts(log="bad"))

    assert found is not None
    assert (found.basis, found.severity, found.evidence) == ("both", "error", ("seen", "log: bad"))


def test_a_match_may_be_rejected_and_the_next_one_taken() -> None:
    def read(_: Facts, match: Any) -> Hit | None:
        return Hit((), title=match[0]) if match[1] == "2" else None

    found = evaluate(check("x", log=(r"bad (\d)",), from_log=read), Facts(log="bad 1\nbad 2\nbad 3"))

    assert found is not None
    assert found.title == "bad 2"


def test_a_long_line_is_shortened() -> None:
    found = evaluate(check("x", log=("bad",)), Facts(log="bad" + "x" * 1000))

    assert found is not None
    assert len(found.evidence[0]) < 300


def test_a_remedy_may_depend_on_facts() -> None:
    made = Check(
        "x", "other", "error", "t", "c", lambda facts: Remedy(facts.named("torch")), (), (), find=lambda _: Hit(("e",))
    )

    found = evaluate(made, Facts(packages={"torch": "2.6.0"}))

    assert found is not None
    assert found.remedy.text == "torch 2.6.0"


def test_a_crash_is_skipped_and_the_rest_go_on() -> None:
    def crash(_: Facts) -> Hit | None:
        raise KeyError("gone")

    diagnosis = diagnose(Facts(), [check("a", crash), check("b", lambda _: Hit(("e",)))])

    assert [skipped.id for skipped in diagnosis.skipped] == ["a"]
    assert "KeyError" in diagnosis.skipped[0].reason
    assert [found.id for found in diagnosis.findings] == ["b"]
    assert not diagnosis.ok


def test_a_check_that_hangs_is_left_behind() -> None:
    release = threading.Event()

    def hang(_: Facts) -> Hit | None:
        release.wait(30)
        return None

    diagnosis = diagnose(Facts(), [check("a", hang), check("b", lambda _: Hit(("e",)))], check_deadline=0.05)
    release.set()

    assert [skipped.id for skipped in diagnosis.skipped] == ["a"]
    assert "longer than" in diagnosis.skipped[0].reason
    assert [found.id for found in diagnosis.findings] == ["b"]


def test_no_time_is_left() -> None:
    diagnosis = diagnose(Facts(), [check("a", lambda _: Hit(("e",)))], deadline=0.0)

    assert [skipped.id for skipped in diagnosis.skipped] == ["a"]


def test_most_severe_first_and_ok() -> None:
    checks = [
        check("i", lambda _: Hit(("e",), severity="info")),
        check("w", lambda _: Hit(("e",), severity="warning")),
    ]

    diagnosis = diagnose(Facts(), checks)

    assert [found.id for found in diagnosis.findings] == ["w", "i"]
    assert diagnosis.ok
    assert diagnosis.checked == 2


def test_roots() -> None:
    checks = [
        check("root", lambda _: Hit(("e",)), explains=("middle", "absent")),
        check("middle", lambda _: Hit(("e",)), explains=("leaf",)),
        check("leaf", lambda _: Hit(("e",))),
    ]

    diagnosis = diagnose(Facts(), checks)

    assert [found.id for found in diagnosis.roots] == ["root"]
    assert {found.id: found.explains for found in diagnosis.findings} == {
        "root": ("middle",),
        "middle": ("leaf",),
        "leaf": (),
    }


def test_information_is_nobodys_consequence() -> None:
    found = linked([finding("a"), finding("b", "info")], {"a": ["b"]})

    assert found[0].explains == ()


NAMES = st.sampled_from([f"n{i}" for i in range(8)])


@given(st.lists(NAMES, unique=True), st.dictionaries(NAMES, st.lists(NAMES, max_size=5)))
def test_every_finding_hangs_below_some_root(names: list[str], explains: dict[str, list[str]]) -> None:
    found = {one.id: one for one in linked([finding(name) for name in names], explains)}
    explained = {name for one in found.values() for name in one.explains}
    reached = [name for name in found if name not in explained]

    for name in reached:
        reached.extend(other for other in found[name].explains if other not in reached)

    assert set(reached) == set(names)


@pytest.mark.parametrize("wrong", ["", "x"])
def test_nothing_to_check(wrong: str) -> None:
    assert diagnose(Facts(log=wrong), []).ok
