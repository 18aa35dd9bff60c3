import pytest

from tests.install.plans import lockset, native, plan, wheel
from verl_env.environment.state import State
from verl_env.install.completeness import COMPLETE, of_plan, of_state
from verl_env.locksets.catalogue import load_catalogue, packages_of
from verl_env.locksets.model import Package
from verl_env.records import replace

URL = "https://a.example/flash_attn-2.8.3%2Bcu12-cp312-cp312-linux_x86_64.whl"
OPTIONS = (
    "train with +actor_rollout_ref.model.override_config.attn_implementation=sdpa "
    "actor_rollout_ref.model.use_remove_padding=False"
)
ASKED = ("--stack", "vllm", "--native", "skip", "--gpu", "h100:8")
INSTALL = "verl-env install --stack vllm --gpu h100:8 --with flash-attn --wheelhouse ."
PIP = "verl-env pip install ./flash_attn-*.whl"


def left_out(*natives, verl="0.9.1", asked=ASKED, stack="vllm", **more):
    made = plan([], lock=lockset(verl=verl, natives=natives), native="skip", stack=stack, **more)
    return replace(made, asked=asked)


def with_packages(made, *names):
    return replace(made, packages=tuple(Package(name, "1.0", ()) for name in names))


MEGATRON = ("megatron-core", "megatron-bridge", "nvidia-modelopt")
FLASH_ATTN = native("flash-attn", "2.8.3")


def test_nothing_is_missing():
    found = of_plan(plan([], lock=lockset()))
    assert (found.complete, found.lines(), found.to_json()) == (True, (COMPLETE,), {"complete": True, "incomplete": []})


@pytest.mark.parametrize(
    ("verl", "first", "second"),
    [
        ("0.9.1", "verl's default attention stops", f"{OPTIONS} (seen to train), or give a wheel of flash-attn: {PIP}"),
        (
            "0.7.1",
            "verl's default attention stops",
            f"{OPTIONS} (by the source of verl 0.7.1; not tried), or give a wheel of flash-attn: {PIP}",
        ),
        (
            "0.4.1",
            "verl's FSDP workers stop at their import",
            f"no option of verl 0.4.1 does without flash-attn; give a wheel of flash-attn: {PIP}",
        ),
        (
            "main",
            "it is not known what verl main can do",
            f"give a wheel of flash-attn: {PIP}",
        ),
    ],
)
def test_the_words_follow_the_release_of_verl(verl, first, second):
    lines = of_plan(left_out(FLASH_ATTN, verl=verl)).lines()
    assert lines == (f"incomplete: without flash-attn {first}", f"  {second}")


def test_what_verl_does_without_is_not_missing():
    found = of_plan(left_out(native("flashinfer-python", "0.2.2"), verl="0.1.0"))
    assert [each.known for each in found.lacking] == [False]
    made = of_plan(left_out(native("flashinfer-python", "0.2.2"), verl="0.4.1"))
    assert [each.name for each in made.lacking] == ["flash-attn"], "of which the lockset says nothing"


def test_several_are_told_together():
    natives = (FLASH_ATTN, native("transformer-engine", "2.6", needed_for=["megatron"]))
    found = of_plan(with_packages(left_out(*natives, stack="vllm+megatron"), *MEGATRON))
    first, second = found.lines()
    assert first == (
        "incomplete: without flash-attn verl's default attention stops; "
        "without transformer-engine verl's own Megatron models stop"
    )
    assert second == (
        f"  {OPTIONS} (seen to train); no option of verl 0.9.1 does without transformer-engine; give a wheel of "
        "flash-attn and transformer-engine: verl-env pip install ./flash_attn-*.whl ./transformer_engine-*.whl"
    )


def test_a_wheel_that_is_known_is_named_with_the_command_that_takes_it():
    made = left_out(FLASH_ATTN)
    made = replace(made, natives=tuple(replace(each, unreached=(URL,)) for each in made.natives))
    found = of_plan(made)
    assert found.ways == (
        ("give the wheel (flash_attn-2.8.3+cu12-cp312-cp312-linux_x86_64.whl in the current directory)", INSTALL),
    )
    entry = found.to_json()["incomplete"][0]
    assert (entry["name"], entry["stops"]) == ("flash-attn", "verl's default attention stops")
    assert entry["reason"] == "on request (--native skip)"
    assert entry["instead"] == f"{OPTIONS} (seen to train), or {found.gives[0]}"
    assert len(entry["options"]) == 2


def test_another_place_is_part_of_the_command():
    made = left_out(FLASH_ATTN)
    assert of_plan(made, into="my env").ways[0][1] == "verl-env pip --into 'my env' install ./flash_attn-*.whl"


def test_what_could_not_be_had_in_the_end_is_missing_too():
    lock = lockset(verl="0.9.1", natives=[native("flash-attn", "2.8.3", wheels=[wheel(URL)])])
    made = replace(plan([], lock=lock), asked=ASKED)
    assert of_plan(made).complete
    found = of_plan(made, {"flash-attn": "it broke off"})
    assert [each.reason for each in found.lacking] == ["it broke off"]
    assert found.ways[0][1] == INSTALL


def test_the_record_of_an_environment_says_the_same():
    lock = lockset(verl="0.9.1", natives=[FLASH_ATTN])
    made = State("/e", lock.id, "vllm", "3.12", "d", None, {"flash-attn": "no"}, (), asked=ASKED, barred={URL: "no"})
    found = of_state(made, lock, ".venv")
    assert (found.lacking[0].reason, found.ways[0][1]) == ("no", INSTALL)
    assert of_state(made, lock, ".venv", there={"flash-attn"}).complete


@pytest.mark.parametrize(
    ("there", "reason", "options"),
    [
        (MEGATRON, None, ()),
        (("megatron-core", "mbridge"), "has none", ("actor_rollout_ref.actor.megatron.vanilla_mbridge=True",)),
        (("megatron-core",), "has none", ()),
        (
            ("megatron-core", "megatron-bridge", "mbridge"),
            "it imports nvidia-modelopt, which verl0.1-cu124/app.demo has not",
            ("actor_rollout_ref.actor.megatron.vanilla_mbridge=True",),
        ),
    ],
)
def test_what_the_lockset_does_not_name_is_missing_where_verl_needs_it(there, reason, options):
    needs = ("flash-attn", "transformer-engine", *there)
    made = with_packages(plan([], lock=lockset(verl="0.9.0"), stack="vllm+megatron"), *needs)
    found = of_plan(made)
    assert [(each.name, each.options) for each in found.lacking] == ([("megatron-bridge", options)] if reason else [])
    assert all(reason in each.reason for each in found.lacking)
    assert of_plan(replace(made, stack="vllm")).complete, "nobody asked for Megatron"
    record = State("/e", made.lockset.id, "vllm+megatron", "3.12", "d", None, {}, (), asked=ASKED)
    assert of_state(record, made.lockset, ".venv", there=set(needs)).lacking == found.lacking
    assert of_state(record, made.lockset, ".venv").complete, "nothing is known of what is there"


#: What verl needs for all that a lockset provides and the image it mirrors has not, or not whole.
SHIPPED = {
    "rocm/rocm6": {"flash-attn"},
    "rocm/rocm7": {"flash-attn"},
    "rocm/vllm0.26": {"flash-attn"},
    **{f"rocm/{name}": {"megatron-bridge"} for name in ("rocm702", "rocm714", "rocm10")},
    **{
        f"verl0.9.0-cu130/stable.{name}": {"megatron-bridge"}
        for name in ("sglang0.5.12.aarch64", "sglang0.5.12.mcore0.18", "vllm0.24", "vllm0.24.aarch64")
    },
}


def test_what_the_shipped_locksets_lack():
    found = {}
    for each in load_catalogue():
        for lock in each.pythons:
            names = {native.name for native in each.natives} | {one.name for one in packages_of(each, lock.python)}
            record = State("/e", each.id, "+".join(each.provides), lock.python, "d", None, {}, ())
            if lacking := of_state(record, each, ".venv", there=names).lacking:
                found[each.id] = {one.name for one in lacking}
    assert found == SHIPPED
