"""What a bundle carries of native components that the index has."""

from tests.install.plans import options, plan
from verl_env.bundle.natives import carry_natives
from verl_env.choose.model import Build
from verl_env.components.model import Wheel
from verl_env.locksets.target import LockTarget
from verl_env.records import replace

TARGET = LockTarget("3.12", "x86_64", "2.28")
WHOLE = "te-2.0-py3-none-any.whl"


def of_index(name, file, after=()):
    wheel = Wheel(f"index:{file}", ("3.12",), None, None, None, None, None, (), None, "0" * 64, "a test", after=after)
    return Build(name, "2", "prebuilt", "published", wheel, after=after)


def carried(tmp_path, *builds):
    return carry_natives(replace(plan([]), natives=builds), options(tmp_path), TARGET)


def test_a_wheel_of_the_index_is_looked_up_there_by_its_digest(tmp_path):
    (found,) = carried(tmp_path, of_index("te", WHOLE))
    (wanted,) = found.wanted
    assert (wanted.name, wanted.version, wanted.url) == ("te", "2.0", None)
    assert wanted.hashes == {f"sha256:{'0' * 64}"}
    assert (found.way.how, found.way.detail) == ("prebuilt", WHOLE)


def test_what_is_of_no_use_without_a_part_is_left_out_with_it(tmp_path):
    part = Build("te-core", "2", "skip", "on request")
    found = carried(tmp_path, part, of_index("te", WHOLE, after=("te-core",)))
    assert [each.way.how for each in found] == ["skip", "skip"]
    assert "te-core is left out" in found[1].way.detail
