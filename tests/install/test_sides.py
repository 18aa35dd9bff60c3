import json

import pytest

from tests.choose.build import lockset, native
from tests.install.environments import Environment
from tests.install.plans import PYTHON
from verl_env.choose.errors import LocksetAmbiguousError, LocksetUnknownError
from verl_env.environment.state import State, write_state
from verl_env.install.errors import EnvironmentEmptyError, PythonNotLockedError
from verl_env.install.sides import read_sides
from verl_env.locksets.model import Package

OTHER = "3.9" if PYTHON != "3.9" else "3.8"
URL = "https://example.org/direct-2.0-py3-none-any.whl"
NATIVES = (native("flash-attn", "2.7.4"), native("transformer-engine", "2.2", ["megatron"]))
FIRST = lockset("family/app.one", pythons=(OTHER, PYTHON), natives=NATIVES, provides=("vllm", "megatron"))
SECOND = lockset("family/app.two", pythons=(PYTHON,), natives=())
ELSEWHERE = lockset("elsewhere/app.three", pythons=("3.99",), natives=())
RECORDED = lockset("family/recorded", tier="recorded", pythons=())
EVERY = (FIRST, SECOND, ELSEWHERE, RECORDED)
PACKAGES = (Package("torch", "2.6.0", ()), Package("direct", "2.0", (), "url", URL))


@pytest.fixture(autouse=True)
def locks(monkeypatch, tmp_path):
    """Every lock holds the same packages; the current directory is an empty one."""
    monkeypatch.setattr("verl_env.install.sides.packages_of", lambda lockset, python: PACKAGES)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def environment(tmp_path):
    made = Environment(tmp_path / "env")
    made.add("torch", "2.6.0")
    return made


def write(environment, *, stack="vllm", lockset_id=FIRST.id, left_out=(), python=PYTHON):
    state = State(str(environment.path), lockset_id, stack, python, "", None, dict(left_out), ())
    write_state(environment.path, state)


def test_two_locksets_by_full_id_last_part_or_end():
    for name in (FIRST.id, "app.one", "one"):
        left, right = read_sides(name, "app.two", EVERY)
        assert (left.name, right.name, left.kind) == (FIRST.id, SECOND.id, "lockset")


def test_two_locksets_are_compared_for_a_python_that_both_have():
    for names in (("one", "two"), ("two", "one")):
        assert [side.python for side in read_sides(*names, EVERY)] == [PYTHON, PYTHON]


def test_locksets_that_share_no_python_are_each_taken_for_their_first():
    assert [side.python for side in read_sides("one", "three", EVERY)] == [OTHER, "3.99"]


def test_the_python_asked_for_is_taken():
    assert [side.python for side in read_sides("one", "one", EVERY, OTHER)] == [OTHER, OTHER]
    with pytest.raises(PythonNotLockedError) as refused:
        read_sides("one", "two", EVERY, OTHER)
    assert SECOND.id in refused.value.message
    assert refused.value.hint == f"give one that it has: --python {PYTHON}"


@pytest.mark.parametrize("names", [("recorded", "one"), ("one", "recorded")])
def test_what_is_recorded_only_cannot_be_compared(names):
    with pytest.raises(PythonNotLockedError) as refused:
        read_sides(*names, EVERY)
    assert "recorded only" in refused.value.message
    assert refused.value.exit_code == 2


def test_a_lockset_holds_its_packages_and_its_native_components():
    side, _ = read_sides("one", "two", EVERY)
    assert side.items.keys() == {"torch", "direct", "flash-attn", "transformer-engine"}
    assert side.items["direct"].origin == URL
    assert side.items["flash-attn"].text == "2.7.4 (native)"
    assert (side.items["flash-attn"].local, side.items["flash-attn"].anywhere) == (True, True)


@pytest.mark.parametrize(
    ("name", "error"),
    [("nothing", LocksetUnknownError), ("app", LocksetUnknownError), ("e", LocksetAmbiguousError)],
)
def test_a_name_that_means_nothing_or_too_much(name, error):
    with pytest.raises(error):
        read_sides("two", name, EVERY)


def test_an_environment_is_read_from_its_files(environment):
    environment.add("Editable_Thing", "0.1")
    environment.add("verl_env_runtime", "0.1")
    origin = {"url": "file:///src", "dir_info": {"editable": True}}
    (environment.site / "Editable_Thing-0.1.dist-info" / "direct_url.json").write_text(json.dumps(origin))
    side, _ = read_sides(str(environment.path), "one", EVERY)
    assert (side.kind, side.python, side.name) == ("environment", PYTHON, str(environment.path))
    assert side.items.keys() == {"torch", "editable-thing"}
    assert side.items["torch"].anywhere
    assert side.items["editable-thing"].text == "0.1 (from file:///src, editable)"
    assert not side.items["editable-thing"].anywhere


@pytest.mark.parametrize("first", [True, False])
def test_the_lockset_is_taken_for_the_python_of_the_environment(environment, first):
    names = (str(environment.path), "one")
    sides = read_sides(*(names if first else reversed(names)), EVERY)
    assert [side.python for side in sides] == [PYTHON, PYTHON]


def test_an_environment_of_a_python_that_the_lockset_has_not(environment):
    with pytest.raises(PythonNotLockedError) as refused:
        read_sides(str(environment.path), "three", EVERY)
    assert refused.value.hint == "give one that it has: --python 3.99"
    left, right = read_sides(str(environment.path), "three", EVERY, "3.99")
    assert (left.python, right.python) == (PYTHON, "3.99")


def test_of_several_pythons_the_newest_with_packages_is_read(environment):
    for python in ("3.2", "3.999"):
        (environment.path / "lib" / f"python{python}" / "site-packages").mkdir(parents=True)
    (environment.path / "lib" / "python3.2" / "site-packages" / "old-1.dist-info").mkdir()
    side, _ = read_sides("env", "one", EVERY)
    assert side.python == PYTHON
    write(environment, python="3.2")
    side, _ = read_sides("env", "env", EVERY)
    assert side.python == "3.2", "the one verl-env made it for"


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        ("vllm", {"flash-attn"}),
        ("vllm+megatron", {"flash-attn", "transformer-engine"}),
    ],
)
def test_only_the_natives_that_the_stack_of_the_environment_needs_are_expected(environment, stack, expected):
    write(environment, stack=stack)
    side, _ = read_sides("one", str(environment.path), EVERY)
    assert side.items.keys() == expected | {"torch", "direct"}


def test_an_environment_of_unknown_stack_may_need_all_of_them(environment):
    side, _ = read_sides("one", str(environment.path), EVERY)
    assert "transformer-engine" in side.items


def test_what_was_left_out_knowingly_is_said_for_its_own_lockset_alone(environment):
    write(environment, left_out={"flash-attn": "on request"})
    side, _ = read_sides("one", str(environment.path), EVERY)
    assert side.items["flash-attn"].remark == "native, left out when it was made"
    write(environment, left_out={"flash-attn": "on request"}, lockset_id="another/one")
    side, _ = read_sides("one", str(environment.path), EVERY)
    assert side.items["flash-attn"].remark == "native"


def test_two_environments(environment, tmp_path):
    Environment(tmp_path / "other").add("numpy", "2")
    left, right = read_sides("env", "other", EVERY)
    assert (left.items.keys(), right.items.keys()) == ({"torch"}, {"numpy"})


def test_a_directory_without_packages(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(EnvironmentEmptyError) as refused:
        read_sides("two", "empty", EVERY)
    assert "empty holds no packages" in refused.value.message
    assert "verl-env stacks" in refused.value.hint
    assert refused.value.exit_code == 2


def test_a_directory_without_packages_does_not_hide_a_lockset(tmp_path):
    (tmp_path / "app.two").mkdir()
    assert read_sides("app.two", "one", EVERY)[0].kind == "lockset"


def test_an_environment_goes_before_the_end_of_an_id_and_a_full_id_before_everything(tmp_path):
    Environment(tmp_path / "app.two").add("numpy", "2")
    assert read_sides("app.two", "one", EVERY)[0].kind == "environment"
    (tmp_path / "family").mkdir()
    Environment(tmp_path / "family" / "app.two").add("numpy", "2")
    assert read_sides(SECOND.id, "one", EVERY)[0].kind == "lockset"
