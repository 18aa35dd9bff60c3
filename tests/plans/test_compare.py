import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.install.plans import lockset, native, plan, wheel
from verl_env.environment.history import Change
from verl_env.environment.installed import Distribution
from verl_env.locksets.model import Package
from verl_env.plans.compare import RequiredDistribution, compare, satisfies, wanted

URL = "https://example.org/x-1.0+cu12-py3-none-any.whl"


def have(version="1.0", **more):
    return Distribution("x", version, "/f", **more)


@pytest.mark.parametrize(
    ("installed", "want", "right"),
    [
        (have(), RequiredDistribution("x", "1.0"), True),
        (have("1.0.0"), RequiredDistribution("x", "1"), True),
        (have("1.1"), RequiredDistribution("x", "1.0"), False),
        (have("strange"), RequiredDistribution("x", "1.0"), False),
        (have("1.0+cu12"), RequiredDistribution("x", "1.0"), False),
        (have("1.0+cu12"), RequiredDistribution("x", "1.0", local=True), True),
        (have("1.0+cu12torch2.6cxx11abifalse"), RequiredDistribution("x", "1.0", local=True), True),
        (have(whole=False), RequiredDistribution("x", "1.0"), False),
        (have(origin="file:///home/u/x"), RequiredDistribution("x", "1.0"), False),
        (have(origin=URL), RequiredDistribution("x", "1.0", URL), True),
        (have(origin=URL.replace("+", "%2B")), RequiredDistribution("x", "1.0", URL), True),
        (have(origin=URL), RequiredDistribution("x", "1.0", URL + "#sha256=00"), True),
        (have(), RequiredDistribution("x", "1.0", URL), True),
        (have(origin="https://elsewhere/x.whl"), RequiredDistribution("x", "1.0", URL), False),
        (
            have("0.9.dev0", origin="file:///s/x", editable=True),
            RequiredDistribution("x", None, "file:///s/x", editable=True),
            True,
        ),
        (have("0.9.dev0", origin="file:///s/x"), RequiredDistribution("x", None, "file:///s/x", editable=True), False),
        (have(origin="file:///s/x", editable=True), RequiredDistribution("x", "1.0"), False),
        (
            have(origin="file:///s/y", editable=True),
            RequiredDistribution("x", None, "file:///s/x", editable=True),
            False,
        ),
    ],
)
def test_whether_it_is_what_is_wanted(installed, want, right):
    assert satisfies(installed, want) is right


def test_differences_are_additions_removals_and_changes():
    there = {
        "same": Distribution("same", "1", "/f"),
        "moved": Distribution("moved", "1", "/f", origin="file:///src"),
        "broken": Distribution("broken", "1", "/f", whole=False),
        "extra": Distribution("extra", "3", "/f"),
    }
    want = {name: RequiredDistribution(name, "1") for name in ["same", "moved", "broken", "new"]}
    want["link"] = RequiredDistribution("link", "2", URL)
    want["src"] = RequiredDistribution("src", None, "file:///s", editable=True)
    assert compare(there, want) == (
        Change("~", "broken", "1 (incomplete)", "1"),
        Change("-", "extra", "3", None),
        Change("+", "link", None, f"2 (from {URL})"),
        Change("~", "moved", "1 (from file:///src)", "1"),
        Change("+", "new", None, "1"),
        Change("+", "src", None, "checkout (from file:///s)"),
    )


names = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["1", "2"]))


@given(names, names)
def test_applying_the_differences_gives_what_is_wanted(before, after):
    there = {name: Distribution(name, version, "/f") for name, version in before.items()}
    changes = compare(there, {name: RequiredDistribution(name, version) for name, version in after.items()})
    result = dict(before)
    for change in changes:
        assert change.kind == ("~" if change.old and change.new else "+" if change.new else "-")
        assert result.get(change.name) == change.old
        result.pop(change.name, None)
        if change.new is not None:
            result[change.name] = change.new
    assert result == after


PACKAGES = (Package("demo", "1.0", ()), Package("direct", "2.0", (), "url", URL), Package("verl", "0.1", ()))


def test_what_a_plan_wants():
    natives = (native(wheels=[wheel("https://h/a-1-py3-none-any.whl")]), native("apex"))
    want = wanted(plan(PACKAGES, lock=lockset(natives=natives)))
    assert want.keys() == {"demo", "direct", "verl", "flash-attn", "verl-env-runtime"}
    assert want["direct"].origin == URL
    assert want["flash-attn"] == RequiredDistribution("flash-attn", "2.7.4", local=True)


def test_a_native_that_could_not_be_had_is_not_wanted():
    natives = (native(wheels=[wheel("https://h/a-1-py3-none-any.whl")]),)
    assert "flash-attn" not in wanted(plan(PACKAGES, lock=lockset(natives=natives)), without={"flash-attn": "gone"})


def test_a_checkout_of_verl_is_wanted_in_place():
    assert wanted(plan(PACKAGES, verl_source="/src/my verl"))["verl"] == RequiredDistribution(
        "verl", None, "file:///src/my%20verl", editable=True
    )


def test_without_verl_it_is_not_wanted():
    assert "verl" not in wanted(plan(PACKAGES, with_verl=False))
