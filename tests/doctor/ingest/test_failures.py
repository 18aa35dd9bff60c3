"""Whether a text shows a failure at all, whose it is, and what only looks like one."""

from __future__ import annotations

import pytest

from verl_env.doctor.ingest.clean import clean
from verl_env.doctor.ingest.failures import failures

_LOGGED = "(EngineCore pid=630) ERROR 01-08 11:19:33 [core.py:866] "
TRACE = "\n".join(
    (
        f"{_LOGGED}Traceback (most recent call last):",
        f'{_LOGGED}  File "/e/lib/python3.12/site-packages/mbridge/core/bridge.py", line 9, in load',
        f"{_LOGGED}    return model.frobnicate()",
        f"{_LOGGED}ValueError: the frob is not a nicator",
        "RuntimeError: Engine core initialization failed. See root cause above.",
    )
)


def test_the_cause_comes_before_its_echo_and_names_its_file() -> None:
    first, second = failures(clean(TRACE))

    assert (first.package, first.file) == ("mbridge", "mbridge/core/bridge.py")
    assert first.line == "ValueError: the frob is not a nicator"
    assert second.late
    assert not first.late


@pytest.mark.parametrize(
    "line",
    [
        "x.cu: fatal error: a/b.h: No such file or directory",
        "error: subprocess-exited-with-error",
        "CUDA error: an illegal instruction was encountered",
        "CUBLAS_STATUS_NOT_SUPPORTED when calling cublasLtMatmul",
        "Fatal Python error: Segmentation fault",
        "srun: error: node03: task 3: Exited with exit code 1",
        "python: symbol lookup error: /x/liba.so: undefined symbol: foo",
        "  x No solution found when resolving dependencies:",
        "[autoscaler] Error: No available node types can fulfill resource request {'GPU': 1.0}.",
        "bash: nvcc: command not found",
        "slurmstepd: error: Detected 1 oom_kill event",
        "zmq.error.ZMQError: Address already in use",
        "SGLang does not start.",
        "	libcudart.so.13 => not found",
    ],
)
def test_what_is_a_failure(line: str) -> None:
    assert failures(clean(f"INFO fine\n{line}\nmore"))


@pytest.mark.parametrize(
    "line",
    [
        "step:1 - actor/error_rate:0.1 - loss: 0.2",
        "0 errors, 3 warnings",
        "INFO 01-01 11:11:11 [a.py:1] no error: all good",
        "UserWarning: something is deprecated",
        "    raise RuntimeError('no')",
        "except ImportError:",
        "CUDNN_STATUS_SUCCESS",
        "process exited with code 0",
        "error_correction = 3",
        "Everything works, thank you.",
        "I want a newer vllm than 0.19.1",
    ],
)
def test_what_is_none(line: str) -> None:
    assert failures(clean(line)) == ()


def test_an_ignored_exception_is_none() -> None:
    head = "Exception ignored in: <function A.__del__ at 0x7f>\n"
    text = head + 'Traceback (most recent call last):\n  File "a.py", line 1, in b\nTypeError: x\n'

    assert failures(clean(text)) == ()
