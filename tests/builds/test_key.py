"""Any change of a fact is another result; nothing else is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builds.facts import CATALOGUE, TOOLS, host, job, lock, tools
from verl_env.builds.cache import key_of
from verl_env.builds.key import facts_of, missing_tools
from verl_env.components.model import NeededFile


def key(made=None, *, on=None, of=None, after=None):
    return key_of(facts_of(made or job(), of or lock(), on or host(), catalogue=CATALOGUE, after=after))


CHANGES = {
    "component": {"made": job("other")},
    "version": {"made": job(version="1.1")},
    "source": {"made": job(source="git+https://example.org/a@v1")},
    "hash": {"made": job(sha256="0" * 64)},
    "torch": {"of": lock(torch="2.7.0", packages={"torch": "2.7.0"})},
    "cuda": {"of": lock(cuda="12.6")},
    "rocm": {"of": lock(rocm="6.3")},
    "python": {"of": lock(python="3.11")},
    "arch": {"of": lock(arch="aarch64")},
    "build constraints": {"of": lock(constraints=("setuptools==79.0.1",))},
    "targets": {"made": job(targets="8.0;9.0")},
    "gcc": {"on": host(toolchain=tools(gcc="12.2.0"))},
    "g++": {"on": host(toolchain=tools(gxx="12.2.0"))},
    "nvcc": {"on": host(toolchain=tools(nvcc="12.4.99"))},
    "hipcc": {"on": host(toolchain=tools(hipcc="6.3"))},
    "glibc": {"on": host(glibc="2.28")},
    "flags": {"on": host(environ={"CXXFLAGS": "-O0"})},
    "compiler": {"on": host(environ={"CC": "clang"})},
    "env": {"made": job(env={"A": "1"})},
    "settings": {"made": job(settings=("--cpp_ext",))},
    "patches": {"made": job(patches=("a:b.patch",))},
    "commands": {"made": job(commands=(("make",),))},
    "requires": {"made": job(requires=("pybind11",))},
    "upon": {"after": {"base": "0123"}},
}


def test_every_change_has_a_key_of_its_own():
    keys = [key(), *(key(**change) for change in CHANGES.values())]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    "same",
    [
        {"made": job(jobs=1)},
        {"made": job(job_bytes=1)},
        {"on": host(cpus=1, memory=1)},
        {"on": host(environ={"HOME": "/elsewhere"})},
        {"of": lock(interpreter="/usr/bin/python3.10")},
    ],
)
def test_what_makes_no_difference_changes_nothing(same):
    assert key(**same) == key()


def test_the_headers_of_a_wheel_of_the_lock_count():
    made = job(files=(NeededFile("cudnn.h", "header", None, "cudnn", "nvidia-cudnn-cu12"),))
    keys = {key(made, of=lock(packages={"nvidia-cudnn-cu12": version})) for version in ("9.1", "9.5")}
    assert len(keys) == 2


def test_headers_alone_are_the_same_for_every_torch_and_compiler():
    made = job(product="source", torch=False)
    assert key(made) == key(made, of=lock(torch="2.7.0"), on=host(toolchain=tools(gcc="9.4")))


def test_a_library_without_torch_is_the_same_for_every_torch():
    made = job(product="prefix", torch=False)
    assert key(made) == key(made, of=lock(torch="2.7.0"))
    assert key(made) != key(made, of=lock(cuda="12.6"))


def test_the_abi_is_that_of_the_table():
    assert facts_of(job(), lock(), host(), catalogue=CATALOGUE)["cxx11abi"] is False
    assert facts_of(job(), lock(torch="2.5.0"), host(), catalogue=CATALOGUE)["cxx11abi"] is None


def test_missing_tools_are_those_that_were_looked_for():
    assert missing_tools(host(toolchain=TOOLS)) == ("hipcc",)
    assert missing_tools(host(toolchain=tools(nvcc=None))) == ("nvcc", "hipcc")


VALUES = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
FACTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=5)


@given(FACTS, FACTS)
def test_keys_agree_exactly_where_facts_do(one, other):
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (key_of(one) == key_of(other)) == same
