"""The compiler from the index: when it is taken, what is made of its wheels, and what its absence says."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.builds.facts import host, job, lock, tools
from tests.install.wheels import sha256, wheel_bytes
from verl_env.builds.key import facts_of, missing_tools
from verl_env.builds.toolkit import IndexToolkit, toolkit_of, with_toolkit
from verl_env.components.model import Catalogue, Tool, ToolkitWheels
from verl_env.installers.failures import HashMismatchError
from verl_env.installers.index import IndexUnavailableError
from verl_env.machine.model import UNKNOWN
from verl_env.records import replace

NVCC = Tool("nvcc", None, None, "cuda", "torch asks for it")
EXACT = Tool("nvcc", None, None, "cuda", "apex asks for it", exact=True)
FILES = {
    "nvidia_cuda_nvcc-13.0.88-py3-none-any.whl": {"nvidia/cu13/bin/nvcc": "#!/bin/sh\necho release 13.0\n"},
    "nvidia_cuda_runtime-13.0.96-py3-none-any.whl": {
        "nvidia/cu13/include/cuda.h": "// cuda",
        "nvidia/cu13/lib/libcudart.so.13": "library",
    },
}


def distribution(file):
    return file.split("-")[:2]


CONTENTS = {file: wheel_bytes(*distribution(file), content) for file, content in FILES.items()}
ROW = ToolkitWheels(
    "13.0", "13.0.88", "x86_64", {file: sha256(content) for file, content in CONTENTS.items()}, "a test"
)
CATALOGUE = Catalogue({}, (), (), (), (ROW,))
CU13 = lock(cuda="13.0", torch="2.11.0", arch="x86_64")


@pytest.fixture
def served(index, monkeypatch):
    for file, content in CONTENTS.items():
        (index.directory / file).write_bytes(content)
    monkeypatch.setenv("PIP_INDEX_URL", index.simple)
    return index


def taken(*asked, have=None, of=CU13):
    found = toolkit_of([job(tools=asked).build], have, of, CATALOGUE, ((Path("/cache"),), None))
    return found and found.row.nvcc


@pytest.mark.parametrize(
    ("asked", "have", "found"),
    [
        ((NVCC,), None, "13.0.88"),
        ((NVCC,), UNKNOWN, "13.0.88"),
        ((NVCC,), "12.4.131", "13.0.88"),
        ((NVCC,), "13.2.51", None),
        ((EXACT,), "13.2.51", "13.0.88"),
        ((EXACT,), "13.0.48", None),
        ((), None, None),
    ],
)
def test_it_is_taken_where_the_host_has_none_that_fits(asked, have, found):
    assert taken(*asked, have=have) == found


@pytest.mark.parametrize("other", [{"cuda": "12.8"}, {"cuda": None, "rocm": "7.0"}, {"arch": "aarch64"}])
def test_there_is_none_for_what_the_index_does_not_have(other):
    assert taken(NVCC, of=lock(**{"cuda": "13.0", "arch": "x86_64", **other})) is None


def test_its_wheels_become_a_toolkit(served, tmp_path):
    told = []
    toolkit = IndexToolkit(ROW, (tmp_path / "built",))
    assert not toolkit.at_hand
    place = toolkit.make(told.append, offline=False)
    assert place == toolkit.place == with_home(toolkit)
    assert subprocess.run([place / "bin" / "nvcc"], capture_output=True, text=True, check=True).stdout
    assert (place / "lib64" / "libcudart.so").read_text() == "library"
    assert (place / "include" / "cuda.h").is_file()
    assert len(told) == 1
    assert "nvcc 13.0.88 of the index" in told[0]
    assert toolkit.make(told.append, offline=True) == place
    assert len(told) == 1
    assert [each.name for each in place.parent.iterdir()] == [place.name]


def with_home(toolkit):
    return Path(with_toolkit(host(), toolkit).toolchain.cuda_home)


def test_a_site_that_has_it_is_read_and_not_written(served, tmp_path):
    site, own = tmp_path / "site", tmp_path / "own"
    made = IndexToolkit(ROW, (site,)).make(lambda _: None, offline=False)
    assert IndexToolkit(ROW, (own, site)).make(lambda _: None, offline=True) == made
    assert not own.exists()


def test_a_wheelhouse_may_have_its_wheels(tmp_path):
    house = tmp_path / "house"
    house.mkdir()
    for file, content in CONTENTS.items():
        (house / file).write_bytes(content)
    toolkit = IndexToolkit(ROW, (tmp_path / "built",), house)
    assert toolkit.at_hand
    assert os.access(toolkit.make(lambda _: None, offline=True) / "bin" / "nvcc", os.X_OK)


def test_another_file_is_refused_and_leaves_nothing(served, tmp_path):
    row = replace(ROW, files={**ROW.files, next(iter(ROW.files)): "0" * 64})
    with pytest.raises(HashMismatchError):
        IndexToolkit(row, (tmp_path / "built",)).make(lambda _: None, offline=False)
    assert not [each for each in (tmp_path / "built").rglob("*") if each.is_file()]


def test_offline_it_cannot_be_had(tmp_path):
    with pytest.raises(IndexUnavailableError, match="offline"):
        IndexToolkit(ROW, (tmp_path / "built",)).make(lambda _: None, offline=True)


def test_results_are_those_of_a_host_that_has_this_nvcc():
    toolkit = IndexToolkit(ROW, (Path("/cache"),))
    ours = with_toolkit(host(toolchain=tools(nvcc=None)), toolkit)
    theirs = host(toolchain=tools(nvcc="13.0.88"))
    build = job(tools=(NVCC,))
    assert facts_of(build, CU13, ours, catalogue=CATALOGUE) == facts_of(build, CU13, theirs, catalogue=CATALOGUE)
    assert missing_tools(ours) == ("nvcc", *missing_tools(theirs))
