import pytest

from verl_env.builds.log_excerpt import LINES, log_excerpt

PIP = """\
    error: subprocess-exited-with-error
    x Building wheel for demo (pyproject.toml) did not run successfully.
    note: This error originates from a subprocess, and is likely not a problem with pip.
    Building wheel for demo (pyproject.toml): finished with status 'error'
    ERROR: Failed building wheel for demo
  ERROR: Failed to build one or more wheels
"""


@pytest.mark.parametrize(
    "line",
    [
        "torch/include/ATen/cuda/CUDAContextLight.h:10:10: fatal error: cusparse.h: No such file or directory",
        "a.cu(12): error: identifier is undefined",
        "/usr/bin/ld: a.o: undefined reference to `nvshmem_init'",
        "CMake Error at CMakeLists.txt:3 (find_package):",
        "Killed",
        "ModuleNotFoundError: No module named 'torch'",
        "RuntimeError: The detected CUDA version (13.0) mismatches the version that was used to compile PyTorch (12.4)",
        "c++: internal compiler error: Segmentation fault signal terminated program cc1plus",
        "cc1plus: out of memory: No space left on device",
    ],
)
def test_the_line_that_says_why_is_found(line):
    output = f"[1/9] nvcc a.cu\n  {line}\n[2/9] nvcc b.cu\nRuntimeError: Error compiling objects for extension\n{PIP}"
    assert log_excerpt(output) == [line]


def test_the_first_errors_are_shown_and_each_once():
    output = "".join(f"a.cu({number}): error: wrong\n" * 2 for number in range(20))
    assert log_excerpt(output) == [f"a.cu({number}): error: wrong" for number in range(LINES)]


def test_without_an_error_the_end_is_shown():
    assert log_excerpt("one\n\ntwo\n") == ["one", "two"]
