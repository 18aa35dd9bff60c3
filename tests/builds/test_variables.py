import pytest

from tests.builds.facts import host, job, tools
from verl_env.builds.variables import build_variables, filled
from verl_env.components.model import NeededFile

VALUES = {"site": "/env/site", "jobs": "4", "cuda": "/cuda", "prefix:nvshmem": "/built/nvshmem"}


def variables(made, tmp_path, **of):
    python = tmp_path / "env" / "bin" / "python"
    return build_variables(made, host(**of), python=python, room=tmp_path, values=VALUES)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("{prefix:nvshmem}/lib:{site}", "/built/nvshmem/lib:/env/site"),
        ("{cuda}/include -j{jobs}", "/cuda/include -j4"),
        ("{} {other} ${HOME}", "{} {other} ${HOME}"),
    ],
)
def test_placeholders_are_replaced_and_nothing_else(text, result):
    assert filled(text, VALUES) == result


def test_a_placeholder_without_a_value_is_a_fault():
    with pytest.raises(KeyError):
        filled("{source:gdrcopy}", VALUES)


def test_a_build_sees_its_tools_first(tmp_path):
    env = variables(job(), tmp_path, toolchain=tools(cuda_home="/opt/cuda"), environ={"PATH": "/usr/bin"})
    assert env["PATH"].split(":") == [str(tmp_path / "env" / "bin"), "/opt/cuda/bin", "/usr/bin"]
    assert env["CUDA_HOME"] == "/opt/cuda"
    assert env["TMPDIR"] == str(tmp_path)


def test_jobs_and_targets_are_set_whatever_a_site_exports(tmp_path):
    made = job(jobs=3, targets="9.0", arch_variable="TORCH_CUDA_ARCH_LIST")
    env = variables(made, tmp_path, environ={"TORCH_CUDA_ARCH_LIST": "7.0", "MAX_JOBS": "99", "NVCC_THREADS": "2"})
    assert (env["TORCH_CUDA_ARCH_LIST"], env["MAX_JOBS"], env["NVCC_THREADS"]) == ("9.0", "3", "2")
    assert env["CMAKE_BUILD_PARALLEL_LEVEL"] == "3"


def test_a_recipe_that_names_no_targets_sets_none(tmp_path):
    assert "TORCH_CUDA_ARCH_LIST" not in variables(job(targets=None), tmp_path)


@pytest.mark.parametrize(("said", "expected"), [({}, "/env/site/nvidia/cudnn"), ({"CUDNN_PATH": "/my"}, "/my")])
def test_where_a_header_is_the_user_knows_better(tmp_path, said, expected):
    need = NeededFile("cudnn.h", "header", "CUDNN_PATH", "cudnn", None)
    made = job(files=(need,), env={"CUDNN_PATH": "{site}/nvidia/cudnn", "NVTE_FRAMEWORK": "pytorch"})
    env = variables(made, tmp_path, environ={**said, "NVTE_FRAMEWORK": "jax"})
    assert (env["CUDNN_PATH"], env["NVTE_FRAMEWORK"]) == (expected, "pytorch")


@pytest.mark.parametrize(
    ("user", "name", "value"),
    [
        ({"UV_DEFAULT_INDEX": "https://a.example/simple"}, "PIP_INDEX_URL", "https://a.example/simple"),
        ({"UV_INDEX_URL": "https://a.example/simple"}, "PIP_INDEX_URL", "https://a.example/simple"),
        (
            {"UV_DEFAULT_INDEX": "https://a.example/simple", "PIP_INDEX_URL": "https://b.example/simple"},
            "PIP_INDEX_URL",
            "https://b.example/simple",
        ),
        (
            {"UV_INDEX": "site=https://a.example/s https://b.example/s"},
            "PIP_EXTRA_INDEX_URL",
            "https://a.example/s https://b.example/s",
        ),
    ],
)
def test_the_index_of_uv_is_that_of_pip(tmp_path, user, name, value):
    assert variables(job(), tmp_path, environ=user)[name] == value


def test_what_redirects_pip_or_python_is_dropped(tmp_path):
    env = variables(job(), tmp_path, environ={"PIP_TARGET": "/x", "PYTHONPATH": "/y", "HOME": "/home/a"})
    assert "PIP_TARGET" not in env
    assert "PYTHONPATH" not in env
    assert env["HOME"] == "/home/a"


def test_headers_that_a_toolkit_has_by_target_are_found_by_gcc_too(tmp_path):
    """As conda-forge lays its CUDA out: nvcc knows the way, and the host compiler does not."""
    target = tmp_path / "conda" / "targets" / "x86_64-linux"
    (target / "include").mkdir(parents=True)
    toolchain = tools(cuda_home=str(tmp_path / "conda"))
    env = variables(job(), tmp_path, toolchain=toolchain, environ={"CPATH": "/mine"})
    assert env["CPATH"] == f"/mine:{target}/include"
    assert env["LIBRARY_PATH"] == f"{target}/lib"
    (tmp_path / "conda" / "include").mkdir()
    (tmp_path / "conda" / "include" / "cuda_runtime.h").touch()
    assert "LIBRARY_PATH" not in variables(job(), tmp_path, toolchain=toolchain)


def test_a_recipe_may_say_that_there_is_no_toolkit(tmp_path):
    made = job(env={"CUDA_HOME": "{site}/nvidia"})
    env = variables(made, tmp_path, toolchain=tools(cuda_home="/opt/cuda"), environ={"PATH": "/usr/bin"})
    assert env["CUDA_HOME"] == "/env/site/nvidia"
    assert "/opt/cuda/bin" not in env["PATH"]
