"""What must hold for every machine that the model can express."""

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.choose.build import ALL, choose
from tests.machine.strategies import machines as plausible
from verl_env.choose.choose import evaluate, evaluate_all
from verl_env.choose.explain import candidates, machine_line, reasons, summary, why
from verl_env.choose.model import Choice, Refusal, Request
from verl_env.choose.to_json import lockset_json, refusal_json
from verl_env.machine.model import UNKNOWN, Amd, AmdDevice, Host, Machine, Nvidia, NvidiaDevice, PythonInterpreter
from verl_env.records import replace

stacks = st.sampled_from([("vllm",), ("sglang",), ("vllm", "sglang"), ("vllm", "megatron"), ("vllm", "deepep"), ()])
requests = st.builds(
    Request,
    stack=stacks,
    verl=st.sampled_from([None, "0.4", "0.9.0", "0"]),
    lockset=st.sampled_from([None, "verl0.9-cu130/app.vllm", "vemlp", "app.vllm.preview"]),
    python=st.sampled_from([None, "3.8", "3.10", "3.12", "x"]),
    preview=st.booleans(),
)

texts = st.text(max_size=8) | st.sampled_from(
    ["1", "9.0", "9.0a", "abc", "550.54.15", "..", "gfx", "gfx90a:xnack-", "²"]
)


def fact(values):
    return st.just(UNKNOWN) | st.none() | values


def known(values):
    return st.just(UNKNOWN) | values


#: Values of the right type and any content, which a probe gone wrong may hold.
absurd = st.builds(
    Machine,
    host=st.builds(
        Host,
        arch=known(texts),
        glibc=fact(texts),
        musl=fact(texts),
        wsl=known(st.booleans()),
        container=fact(texts),
        jetson=fact(texts),
    ),
    nvidia=fact(
        st.builds(
            Nvidia,
            driver=fact(texts),
            cuda=fact(texts),
            devices=st.lists(
                st.builds(NvidiaDevice, index=st.integers(-1, 3), name=fact(texts), compute_capability=fact(texts)),
                max_size=3,
            ).map(tuple),
        )
    ),
    amd=fact(
        st.builds(
            Amd,
            rocm=fact(texts),
            devices=st.lists(
                st.builds(AmdDevice, index=st.integers(-1, 3), name=fact(texts), gfx=fact(texts)), max_size=3
            ).map(tuple),
        )
    ),
    pythons=known(st.lists(st.builds(PythonInterpreter, version=texts, path=texts), max_size=2).map(tuple)),
)
machines = plausible | absurd

drivers = st.tuples(st.sampled_from([470, 515, 525, 535, 550, 570, 575, 580, 595]), st.integers(0, 130)).map(
    lambda parts: f"{parts[0]}.{parts[1]}"
)


@given(machines, requests)
def test_it_answers_for_every_machine_and_says_why(machine, request):
    found = choose(ALL, machine, request)
    assert machine_line(machine)
    if isinstance(found, Choice):
        assert found.evaluation.fits
        assert evaluate(found.lockset, machine, request).fits
        assert found.python in [lock.python for lock in found.lockset.pythons]
        assert found.lockset.tier != "recorded"
        assert set(request.stack) <= set(found.lockset.provides)
        assert len(found.others) == len(ALL) - 1
        assert why(found, request)
    else:
        assert not any(each.fits for each in found.evaluations)
        assert len(found.evaluations) == len(ALL)
        assert found.nearest in found.evaluations
        assert found.changes
        assert refusal_json(found, request)["nearest"]["changes"]


@given(machines, requests)
def test_every_refusal_is_counted_once(machine, request):
    evaluations = evaluate_all(ALL, machine, request)
    refused = [each for each in evaluations if not each.fits]
    groups = reasons(evaluations)
    assert sorted(each.lockset.id for group in groups for each in group.evaluations) == sorted(
        each.lockset.id for each in refused
    )
    assert all(group.brief and group.messages for group in groups)
    assert bool(summary(evaluations)) == bool(refused)
    assert all(each in evaluations for each in candidates(evaluations))


@given(machines, requests)
def test_every_failure_says_what_it_needs(machine, request):
    for evaluation in evaluate_all(ALL, machine, request):
        for verdict in evaluation.verdicts:
            assert verdict.need
            assert verdict.message
            assert verdict.outcome != "failed" or verdict.brief
        assert lockset_json(evaluation)["fits"] is evaluation.fits


@given(machines, requests, st.permutations(ALL))
def test_the_order_of_the_catalogue_does_not_matter(machine, request, shuffled):
    first, second = choose(ALL, machine, request), choose(shuffled, machine, request)
    if isinstance(first, Refusal):
        assert isinstance(second, Refusal)
        assert (first.evaluations, first.nearest, first.changes) == (
            second.evaluations,
            second.nearest,
            second.changes,
        )
    else:
        assert first == second


@given(plausible, drivers, drivers, stacks)
def test_a_newer_driver_never_refuses_by_driver(machine, one, other, stack):
    assume(isinstance(machine.nvidia, Nvidia))
    older, newer = sorted((one, other), key=lambda text: [int(part) for part in text.split(".")])
    for lockset in ALL:
        failed = [
            {
                verdict.requirement
                for verdict in evaluate(
                    lockset, replace(machine, nvidia=replace(machine.nvidia, driver=driver)), Request(stack)
                ).failed
            }
            for driver in (older, newer)
        ]
        assert failed[1] <= failed[0]


@given(plausible, st.sampled_from(["2.17", "2.28", "2.31", "2.35"]), st.sampled_from(["2.36", "2.39"]), stacks)
def test_a_newer_glibc_never_refuses(machine, older, newer, stack):
    for lockset in ALL:
        fits = [
            evaluate(lockset, replace(machine, host=replace(machine.host, glibc=glibc)), Request(stack)).fits
            for glibc in (older, newer)
        ]
        assert fits[1] or not fits[0]


@given(plausible, stacks)
def test_forgetting_the_host_never_refuses(machine, stack):
    """What is unknown refuses nothing: a machine with less said of it fits at least as much.

    But for WSL: that it is one says which of two versions is the driver's.
    """
    forgotten = replace(machine, host=Host(wsl=machine.host.wsl), pythons=UNKNOWN)
    for lockset in ALL:
        assert evaluate(lockset, forgotten, Request(stack)).fits or not evaluate(lockset, machine, Request(stack)).fits


@given(plausible, stacks)
def test_asking_for_less_never_refuses(machine, stack):
    for lockset in ALL:
        assert evaluate(lockset, machine, Request(())).fits or not evaluate(lockset, machine, Request(stack)).fits
