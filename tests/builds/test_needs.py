"""Headers and libraries in trees as modules, toolkits and distributions lay them out."""

import pytest

from tests.builds.facts import host, lock, tools
from verl_env.builds import needs
from verl_env.builds.needs import find_file, versioned_only
from verl_env.components.model import NeededFile

CUDNN = NeededFile("cudnn-x.h", "header", "CUDNN_PATH", "cudnn", "nvidia-cudnn-cu12")
MPI = NeededFile("mpi.h", "header", "MPI_HOME", "MPI", None)
MLX = NeededFile("libmlx5-x.so", "library", None, "rdma-core", None)


@pytest.fixture(autouse=True)
def no_distribution(monkeypatch):
    monkeypatch.setattr(needs, "_INCLUDE", ())
    monkeypatch.setattr(needs, "_LIBRARY", ())
    monkeypatch.setattr(needs, "_multiarch", lambda *_: ())


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return str(path)


@pytest.mark.parametrize(
    ("file", "place", "variable", "value"),
    [
        (CUDNN, "include/cudnn-x.h", "CUDNN_PATH", "{}"),
        (CUDNN, "cudnn-x.h", "CUDNN_PATH", "{}"),
        (CUDNN, "include/cudnn-x.h", "CPATH", "/nowhere:{}/include"),
        (CUDNN, "include/cudnn-x.h", "CPLUS_INCLUDE_PATH", "{}/include"),
        (MPI, "include/mpi.h", "MPI_HOME", "{}"),
        (MPI, "include/mpi.h", "EBROOTOPENMPI", "{}"),
        (MLX, "lib64/libmlx5-x.so", "LIBRARY_PATH", "{}/lib64"),
        (MLX, "lib/libmlx5-x.so", "LD_LIBRARY_PATH", "relative:{}/lib"),
    ],
)
def test_variables_of_modules_say_where(tmp_path, file, place, variable, value):
    path = put(tmp_path / place)
    found = find_file(file, host(environ={variable: value.format(tmp_path)}), lock())
    assert found == path
    assert find_file(file, host(), lock()) is None


def test_a_toolkit_may_have_it(tmp_path):
    path = put(tmp_path / "include/cudnn-x.h")
    assert find_file(CUDNN, host(toolchain=tools(cuda_home=str(tmp_path))), lock()) == path


def test_a_wheel_of_the_lock_may_bring_it():
    found = find_file(CUDNN, host(), lock(packages={"nvidia-cudnn-cu12": "9.1.0"}))
    assert found == "nvidia-cudnn-cu12 9.1.0"


def test_a_distribution_may_have_it(tmp_path, monkeypatch):
    path = put(tmp_path / "libmlx5-x.so")
    monkeypatch.setattr(needs, "_LIBRARY", (str(tmp_path),))
    assert find_file(MLX, host(), lock()) == path


@pytest.mark.parametrize(
    ("option", "answer"),
    [("--showme:compile", "-pthread -I{}/include"), ("-show", "gcc -O2 '-I/nowhere' -I{}/include -L/lib -lmpi")],
)
def test_the_wrapper_of_mpi_says_where(tmp_path, option, answer):
    path = put(tmp_path / "include/mpi.h")
    wrapper = tmp_path / "mpicc"
    wrapper.write_text(f'#!/bin/sh\n[ "$1" = "{option}" ] || exit 1\necho "{answer.format(tmp_path)}"\n')
    wrapper.chmod(0o755)
    assert find_file(MPI, host(environ={"PATH": f"{tmp_path}:/usr/bin:/bin"}), lock()) == path


def test_a_wrapper_that_says_nothing_is_no_answer(tmp_path):
    wrapper = tmp_path / "mpicc"
    wrapper.write_text('#!/bin/sh\necho "an \'unclosed quote"\n')
    wrapper.chmod(0o755)
    assert find_file(MPI, host(environ={"PATH": f"{tmp_path}:/usr/bin:/bin"}), lock()) is None


def test_a_library_without_the_name_for_the_linker(tmp_path):
    there = put(tmp_path / "libmlx5-x.so.1")
    on = host(environ={"LD_LIBRARY_PATH": str(tmp_path)})
    assert find_file(MLX, on, lock()) is None
    assert versioned_only(MLX, on, lock()) == there
    assert versioned_only(CUDNN, on, lock()) is None
    assert versioned_only(MLX, host(), lock()) is None


def test_the_cache_of_the_loader_knows_versions(tmp_path):
    program = tmp_path / "ldconfig"
    program.write_text(
        "#!/bin/sh\nprintf '2 libs found\\n\\tlibmlx5-x.so.1 (libc6,x86-64) => /opt/lib/libmlx5-x.so.1\\n'\n"
    )
    program.chmod(0o755)
    on = host(environ={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert versioned_only(MLX, on, lock()) == "/opt/lib/libmlx5-x.so.1"
