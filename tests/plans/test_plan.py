import json

import pytest

from tests.install.plans import MACHINE, PYTHON, check, choice, lockset, native, plan, wheel
from verl_env.choose.model import Choice, Evaluation, Request, Verdict
from verl_env.install.plan_json import HASH_UNRECORDED, plan_to_json
from verl_env.locksets.model import Package, PythonLock
from verl_env.machine.model import Host, Machine
from verl_env.plans.plan import make_plan


def package(name, version="1.0", download=100, disk=300, **more):
    return Package(name, version, ("sha256:" + "0" * 64,), download_bytes=download, disk_bytes=disk, **more)


PACKAGES = [package("demo"), package("verl", "0.1.0")]
WHEEL = wheel("https://example.org/flash_attn-2.7.4-py3-none-any.whl")


def test_a_plan_has_its_steps_in_order():
    natives = (native(wheels=[WHEEL]), native("apex"))
    made = plan(PACKAGES, lock=lockset(natives=natives, checks=(check(),)), verl_source="/src/verl")
    assert [step.kind for step in made.steps] == [
        "environment",
        "packages",
        "native",
        "native",
        "runtime",
        "verl",
        "check",
        "switch",
    ]
    titles = [step.title for step in made.steps]
    assert titles[2:4] == ["install flash-attn 2.7.4", "leave out apex 2.7.4"]
    assert made.steps[1].detail == "100 B to download, 300 B on disk in about 200 files"
    assert "1 packages" in made.steps[1].title


def test_the_environment_gets_the_locksets_variables():
    assert plan(PACKAGES).env == {"DEMO_VARIABLE": "1"}


@pytest.mark.parametrize(
    ("more", "names", "checks"),
    [
        ({}, ["demo", "verl"], ["demo", "verl", "trainer"]),
        ({"with_verl": False}, ["demo"], ["demo"]),
        ({"verl_source": "/src/verl"}, ["demo"], ["demo", "verl-source"]),
    ],
)
def test_verl_comes_from_the_lock_from_a_checkout_or_not_at_all(more, names, checks):
    lock = lockset(
        checks=(
            check("demo", "import demo"),
            check("verl", "import verl; assert verl.__version__ == '0.1.0'"),
            check("trainer", "import verl.trainer, json"),
        )
    )
    made = plan(PACKAGES, lock=lock, **more)
    assert [each.name for each in made.packages] == names
    assert [each.id for each in made.checks] == checks


def test_sizes_are_those_of_the_packages_where_each_is_stated():
    made = plan(PACKAGES, with_verl=False)
    assert (made.download_bytes, made.disk_bytes) == (100, 300)


def test_sizes_are_those_of_the_lock_where_one_is_not_stated():
    made = plan([*PACKAGES, Package("vague", "1.0", ())])
    assert (made.download_bytes, made.disk_bytes) == (5_000, 9_000)


def test_sizes_without_a_lock_are_what_is_known():
    made = plan([package("a"), Package("vague", "1.0", ())], lock=lockset(pythons=()))
    assert (made.download_bytes, made.disk_bytes) == (100, 300)


@pytest.mark.parametrize(
    ("host", "arch"), [(Host(arch="aarch64"), "aarch64"), (Host(), "x86_64"), (Host(arch="x86_64"), "x86_64")]
)
def test_the_architecture_is_the_machines_or_the_locksets(host, arch):
    assert plan(PACKAGES, machine=Machine(host=host)).arch == arch


def test_a_glibc_that_is_not_known_refuses_no_wheel():
    newer = wheel(WHEEL.url, glibc="2.34")
    made = plan(PACKAGES, lock=lockset(natives=(native(wheels=[newer]),)), machine=Machine(host=Host(arch="x86_64")))
    assert made.natives[0].how == "prebuilt"


def test_warnings_are_those_of_the_choice_and_of_the_natives():
    lock = lockset(natives=(native(wheels=[WHEEL]), native("apex")))
    request_warnings = choice(lock, warnings=("an old driver",))
    made = make_plan(request_warnings, PACKAGES, Request(("vllm",)), MACHINE)
    assert made.warnings[0] == "an old driver"
    assert "hash-unrecorded" in made.warnings[1]
    assert made.warnings[2].startswith("apex 2.7.4 is left out")


def test_skipping_on_request_is_no_warning():
    assert plan(PACKAGES, lock=lockset(natives=(native(),)), native="skip").warnings == ()


def test_the_json_holds_the_keys_of_the_contract():
    wheels = [WHEEL, wheel("https://example.org/x-py3-none-any.whl", sha256="1" * 64)]
    natives = (native(wheels=wheels[:1]), native("deep-ep", wheels=wheels[1:]), native("apex"))
    lock = lockset(natives=natives, checks=(check(),))
    url = package("direct", url="https://example.org/direct-1.0-py3-none-any.whl", source="url")
    other = lockset(id="verl0.2/other")
    failed = Verdict("driver", "failed", "580", "550", "too old")
    chosen = Choice(lock, PYTHON, "/usr/bin/python3", (), Evaluation(lock, ()), (Evaluation(other, (failed,)),))
    data = json.loads(json.dumps(plan_to_json(plan([*PACKAGES, url], lock=lock), chosen)))
    contract = ["schema", "stack", "lockset", "verl", "python", "arch", "accelerator", "steps", "packages", "native"]
    contract += ["download_bytes", "disk_bytes", "env", "warnings", "refused"]
    assert [*data][: len(contract)] == contract
    assert data["schema"] == 1
    assert data["packages"][0] == {
        "name": "demo",
        "version": "1.0",
        "source": "index",
        "hashes": ["sha256:" + "0" * 64],
    }
    assert data["packages"][2]["url"].endswith("direct-1.0-py3-none-any.whl")
    assert [entry["how"] for entry in data["native"]] == ["prebuilt", "prebuilt", "skip"]
    assert [entry.get("sha256") for entry in data["native"]] == [HASH_UNRECORDED, "1" * 64, None]
    assert data["refused"][0]["failed"][0]["have"] == "550"
    assert data["env"] == {"DEMO_VARIABLE": "1"}


def test_a_lock_with_other_sizes_changes_nothing_else():
    lock = lockset(pythons=(PythonLock(PYTHON, "f", "0" * 64, 1, 1, 1, ()),))
    assert plan(PACKAGES, lock=lock).download_bytes == 200
