"""What must hold for every machine, catalogue and request: an answer with reasons, and no way whose conditions fail."""

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.choose.resolver.world import COMPONENTS, LOCKSETS, catalogue, machine
from verl_env.choose.choose import choose, evaluate_all
from verl_env.choose.errors import NativeUnavailableError
from verl_env.choose.facts import facts_of
from verl_env.choose.model import Choice, Request
from verl_env.choose.resolver.candidates import CandidateSource, ComponentCandidates, stood_for, wants_of
from verl_env.choose.resolver.environments import environments_of, settings_of
from verl_env.choose.resolver.examine import Examiner
from verl_env.choose.resolver.facts import machine_facts, met
from verl_env.choose.resolver.model import Environment, Fact
from verl_env.choose.resolver.needs import recipe_needs, wheel_needs
from verl_env.machine.model import UNKNOWN

URLS = sorted({wheel.url for component in COMPONENTS for release in component.releases for wheel in release.wheels})
NAMES = [component.name for component in COMPONENTS]

versions = st.sampled_from([None, UNKNOWN, "odd", "7.0.2", "8.5.0", "12.2.0", "12.4.131", "12.9.1", "13.0.88", "16.1"])
machines = st.builds(
    machine,
    driver=st.sampled_from(["525.60.13", "550.54.15", "580.95.05"]),
    gpus=st.lists(st.sampled_from(["7.0", "7.5", "8.0", "9.0", "10.3", "12.0", "odd"]), max_size=3),
    gfx=st.lists(st.sampled_from(["gfx90a", "gfx942", "gfx1100"]), max_size=2),
    glibc=st.sampled_from(["2.28", "2.31", "2.32", "2.39", "odd", "unknown"]),
    pythons=st.lists(st.sampled_from(["3.10", "3.11", "3.12"]), unique=True),
    headers=st.sampled_from([UNKNOWN, True, False]),
    nvcc=versions,
    gcc=versions,
    hipcc=versions,
    cmake=versions,
)
catalogues = st.builds(
    catalogue,
    drop=st.lists(st.sampled_from(URLS), max_size=8),
    without_recipes=st.lists(st.sampled_from(NAMES), max_size=4),
    only_tables=st.booleans(),
)
wishes = st.lists(
    st.sampled_from(["flash-attn", "apex", "rich>=13", "torch<2.9", "deep-ep", "flash-attn<2.8"]), max_size=2
)
requests = st.builds(
    Request,
    stack=st.sampled_from([("vllm",), ("vllm", "megatron"), ("vllm", "deepep")]),
    python=st.sampled_from([None, None, "3.10", "3.12"]),
    native=st.sampled_from([None, None, "prebuilt", "build", "skip"]),
    wishes=wishes.map(tuple),
)
locksets = st.lists(st.sampled_from(sorted(LOCKSETS)), min_size=1, unique=True).map(
    lambda names: [LOCKSETS[name] for name in names]
)


def locks(lockset, _):
    return {"torch": lockset.torch}


def facts_in(environment, facts, components):
    stated = settings_of(environment, facts, components)
    return {**machine_facts(facts), **{setting.name: Fact(setting.name, setting.value) for setting in stated}}


def ask(every, described, request, components):
    """The answer, a whole error as one; what no lockset provides is not asked for."""
    assume(any(set(request.stack) <= set(lockset.provides) for lockset in every))
    try:
        return choose(every, described, request, components=components, locks=locks)
    except NativeUnavailableError as caught:
        error = caught
    assert all((error.message, error.hint, error.to_json()["passed"]))
    return error


@given(locksets, machines, requests, catalogues)
def test_what_is_chosen_holds_on_the_machine(every, described, request, components):
    found = ask(every, described, request, components)
    if not isinstance(found, Choice):
        return
    facts = facts_of(described)
    environment = Environment(found.lockset, found.python, found.interpreter)
    values = facts_in(environment, facts, components)
    names = [build.name for build in found.builds]
    assert len(names) == len(set(names))
    for build in found.builds:
        assert build.reason
        assert (build.wheel is not None) == (build.how == "prebuilt")
        assert (build.recipe is not None) == (build.how == "build")
        assert request.native in (None, build.how) or build.name in request.wishes or build.how == "build"
        needs = ()
        if build.wheel is not None:
            needs = wheel_needs(build.wheel, found.lockset.accelerator)
        elif build.recipe is not None:
            release = components.components[build.name].release(build.version)
            needs = recipe_needs(build.recipe, release, found.lockset, components, values)
            assert set(build.recipe.after) & set(components.components) <= set(names[: names.index(build.name)])
        assert all(met(need, values[need.name].value) is not False for need in needs)
        assert build.how != "skip" or request.native == "skip" or build.warnings


@given(locksets, machines, requests.filter(lambda request: not request.wishes), catalogues)
def test_the_first_environment_that_is_complete_wins(every, described, request, components):
    """The resolver against trying each environment in order."""
    found = ask(every, described, request, components)
    if not isinstance(found, Choice | NativeUnavailableError):
        return
    facts = facts_of(described)
    fitting = [each.lockset for each in evaluate_all(every, described, request) if each.fits]
    same = [lockset for lockset in fitting if lockset.accelerator == fitting[0].accelerator]
    environments = environments_of(same, facts, request)
    complete = [
        one for one in environments if request.native != "skip" and not missing(one, facts, request, components)
    ]
    needed = stood_for(request.stack)
    possible = [one for one in environments if not needed & missing(one, facts, request, components)]
    if isinstance(found, NativeUnavailableError):
        assert not complete
        assert request.native is not None or not possible
        assert [(each.lockset.id, each.python) for each in found.passed] == [
            (one.lockset.id, one.python) for one in environments
        ]
        assert all(each.missing for each in found.passed)
        return

    def lack(one):
        names = missing(one, facts, request, components)
        return ("flash-attn" in names, len(names))

    expected = complete[0] if complete else environments[0] if request.native == "skip" else min(possible, key=lack)
    assert (found.lockset.id, found.python) == (expected.lockset.id, expected.python)
    skipped = {build.name for build in found.builds if build.how == "skip"}
    if request.native != "skip":
        assert skipped == missing(expected, facts, request, components)
        before = environments[: environments.index(expected)]
        assert [(each.lockset.id, each.python) for each in found.passed] == [
            (one.lockset.id, one.python) for one in before
        ]
        assert all(each.missing for each in found.passed)


def missing(environment, facts, request, components):
    source = CandidateSource(components, machine_facts(facts), request.native)
    examiner = Examiner(facts_in(environment, facts, components), ComponentCandidates(source), request.native)
    wants = wants_of(environment, request.stack, source, optional=False)
    return {want.name for want in wants if examiner.missing(want) is not None}


@given(locksets, machines, requests.filter(lambda request: request.native in (None, "prebuilt")), catalogues)
def test_a_wheel_goes_before_a_build(every, described, request, components):
    found = ask(every, described, request, components)
    if not isinstance(found, Choice):
        return
    facts = facts_of(described)
    values = facts_in(Environment(found.lockset, found.python, found.interpreter), facts, components)
    for build in found.builds:
        if build.how == "prebuilt":
            continue
        release = components.components[build.name].release(build.version) if build.version else None
        wheels = release.wheels if release else ()
        for wheel in wheels:
            needs = wheel_needs(wheel, found.lockset.accelerator)
            assert any(met(need, values[need.name].value) is False for need in needs)


@given(machines, catalogues)
def test_what_is_not_known_of_the_tools_refuses_no_way(described, components):
    """Forgetting a tool leaves at least as many components in."""
    request = Request(("vllm", "megatron"))
    forgotten = machine(
        gpus=[device.compute_capability for device in described.nvidia.devices] if described.nvidia else (),
        glibc="unknown",
        pythons=("3.12", "3.10"),
    )
    known = ask([LOCKSETS["old"]], described, request, components)
    unknown = ask([LOCKSETS["old"]], forgotten, request, components)
    if isinstance(known, Choice) and isinstance(unknown, Choice) and known.python == unknown.python:
        left_out = [{build.name for build in each.builds if build.how == "skip"} for each in (known, unknown)]
        assert left_out[1] <= left_out[0]
