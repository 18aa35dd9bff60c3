"""Every way in which a host cannot build, found before anything begins."""

import os
import sys
from pathlib import Path

import pytest

from tests.builds.facts import CATALOGUE, host, job, lock, tools
from verl_env.builds import preflight as module
from verl_env.builds.errors import BuildImpossibleError
from verl_env.builds.model import Places
from verl_env.builds.preflight import preflight
from verl_env.components.model import NeededFile, Tool

NVCC = Tool("nvcc", None, None, "cuda", "torch refuses another")
GCC = Tool("gcc", "9", None, None, "torch is C++17")


@pytest.fixture(autouse=True)
def room(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "UNMEASURED_DISK", 1)
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def problems(*jobs, on=None, of=None, tmp_path=Path("/tmp"), **more):
    on = on or host(environ={"TMPDIR": str(tmp_path)})
    return preflight(jobs, on, of or lock(), Places(tmp_path), catalogue=CATALOGUE, **more)


def ids(*jobs, **more):
    return [problem.id for problem in problems(*jobs, **more)]


def test_where_all_is_there_nothing_is_wrong():
    assert ids(job(tools=(NVCC, GCC))) == []


def test_where_nothing_is_to_be_built_nothing_is_asked():
    assert ids(on=host(toolchain=tools(nvcc=None), memory=0)) == []


@pytest.mark.parametrize(
    ("tool", "found", "id_"),
    [
        (NVCC, {"nvcc": None}, "nvcc-missing"),
        (NVCC, {"nvcc": "11.8.89"}, "nvcc-major-mismatch"),
        (NVCC, {"nvcc": "13.0.88"}, "nvcc-major-mismatch"),
        (NVCC, {"nvcc": "12.8.93"}, None),
        (Tool("nvcc", None, None, "cuda", "", exact=True), {"nvcc": "12.8.93"}, "nvcc-major-mismatch"),
        (Tool("nvcc", "12.3", None, None, ""), {"nvcc": "12.1.105"}, "nvcc-too-old"),
        (GCC, {"gcc": "8.5.0"}, "gcc-too-old"),
        (GCC, {"gcc": None}, "gcc-missing"),
        (Tool("gcc", None, "12", None, ""), {"gcc": "12.2.0"}, "gcc-too-new"),
        (Tool("g++", "9", None, None, ""), {"gxx": None}, "g++-missing"),
        (Tool("cmake", "3.25", None, None, ""), {"cmake": "3.22.1"}, "cmake-too-old"),
        (Tool("ninja", None, None, None, ""), {"ninja": None}, "ninja-missing"),
        (Tool("make", None, None, None, ""), {}, "make-missing"),
    ],
)
def test_a_tool_outside_its_range(tool, found, id_):
    assert ids(job(tools=(tool,)), on=host(toolchain=tools(**found))) == ([id_] if id_ else [])


def test_a_tool_whose_version_nobody_knows_is_no_problem(tmp_path):
    (tmp_path / "make").write_text("#!/bin/sh\n")
    (tmp_path / "make").chmod(0o755)
    make = Tool("make", "4", None, None, "")
    assert ids(job(tools=(make,)), on=host(environ={"PATH": str(tmp_path)})) == []


def test_an_hipcc_of_another_rocm():
    tool = Tool("hipcc", None, None, "rocm", "")
    on, of = host(toolchain=tools(hipcc="5.7.1")), lock(cuda=None, rocm="6.3")
    (problem,) = problems(job(tools=(tool,)), on=on, of=of)
    assert problem.id == "hipcc-major-mismatch"
    assert "ROCm 6.3" in problem.message
    assert "5.7.1" in problem.message


@pytest.mark.parametrize("of", [{"requires": ("cmake>=3.26", "ninja")}, {}])
def test_cmake_and_ninja_may_come_from_an_index(of):
    made = job(tools=(Tool("cmake", "3.26", None, None, ""), Tool("ninja", None, None, None, "")), **of)
    found = ids(made, on=host(toolchain=tools(cmake="3.16", ninja=None)))
    assert found == ([] if of else ["cmake-too-old", "ninja-missing"])
    locked = lock(packages={"cmake": "3.31", "ninja": "1.11"})
    assert ids(made, on=host(toolchain=tools(cmake=None, ninja=None)), of=locked) == []


def test_a_compiler_that_this_nvcc_does_not_take():
    (problem,) = problems(job(tools=(NVCC, GCC)), on=host(toolchain=tools(gcc="14.1.0")))
    assert problem.id == "gcc-too-new"
    assert "nvcc 12.4.131 takes gcc before 14, and gcc here is 14.1.0" in problem.message


def test_without_a_gpu_nobody_knows_for_what():
    (problem,) = problems(job(targets="", arch_variable="TORCH_CUDA_ARCH_LIST"))
    assert problem.id == "gpu-targets-unknown"
    assert "--gpu" in problem.hint


def test_a_repository_needs_git():
    made = job(source="git+https://example.org/a@v1")
    (problem,) = problems(made, on=host(environ={"PATH": "/nowhere"}))
    assert problem.id == "git-missing"


def test_memory_for_one_job():
    (problem,) = problems(job(job_bytes=9 << 30), on=host(memory=4 << 30))
    assert problem.id == "build-memory-low"
    assert "9.66 GB" in problem.message
    assert ids(job(job_bytes=9 << 30), on=host(memory=None)) == []


def test_room_for_the_build(tmp_path):
    (problem,) = problems(job(disk_bytes=1 << 60), tmp_path=tmp_path)
    assert problem.id == "build-disk-full"
    assert str(tmp_path) in problem.message


def test_a_temporary_directory_that_lets_no_program_run(tmp_path, monkeypatch):
    real = os.statvfs(tmp_path)
    fields = list(real)
    fields[8] |= os.ST_NOEXEC
    monkeypatch.setattr(module.os, "statvfs", lambda _: os.statvfs_result(fields))
    assert ids(job(), tmp_path=tmp_path) == ["tmpdir-noexec"]


def test_a_temporary_directory_that_is_not_there(tmp_path):
    assert ids(job(), tmp_path=tmp_path / "gone") == ["tmpdir-unwritable"]


def test_a_python_without_headers(tmp_path):
    bare = tmp_path / "python"
    bare.write_text(f"#!/bin/sh\necho {tmp_path}/include/Python.h\n")
    bare.chmod(0o755)
    assert ids(job(tools=(GCC,)), of=lock(interpreter=str(bare))) == ["python-headers-missing"]
    assert ids(job(), of=lock(interpreter=str(bare))) == []
    assert ids(job(tools=(GCC,)), of=lock(interpreter=str(tmp_path / "gone"))) == []
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "Python.h").write_text("")
    assert ids(job(tools=(GCC,)), of=lock(interpreter=str(bare))) == []


def test_the_interpreter_of_the_tests_is_asked():
    assert set(ids(job(tools=(GCC,)), of=lock(interpreter=sys.executable))) <= {"python-headers-missing"}


def test_without_a_network_sources_must_be_here(tmp_path):
    assert ids(job(), tmp_path=tmp_path, offline=True) == ["source-offline"]
    assert ids(job(), tmp_path=tmp_path) == []


def test_everything_is_said_at_once():
    need = NeededFile("cudnn.h", "header", "CUDNN_PATH", "cudnn", None)
    made = [job(tools=(NVCC, GCC), files=(need,)), job("other", tools=(NVCC,))]
    found = problems(*made, on=host(toolchain=tools(nvcc=None, gcc="8.5.0")))
    assert [problem.id for problem in found] == ["nvcc-missing", "gcc-too-old", "header-missing", "nvcc-missing"]
    error = BuildImpossibleError(found)
    for word in ["[nvcc-missing]", "other 1.0", "cudnn.h", "CUDNN_PATH", "--native skip"]:
        assert word in f"{error.message}\n{error.hint}"
