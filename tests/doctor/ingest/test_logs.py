"""A log alone names its causes: roots only, whatever else is known of the environment."""

from __future__ import annotations

import pytest

from verl_env.doctor.check import Check
from verl_env.doctor.facts import Facts
from verl_env.doctor.ingest.logs import causes_in_log
from verl_env.doctor.ingest.report import facts_of
from verl_env.doctor.model import Hit, Remedy

BUILDS = [
    (
        "Building wheel for flash-attn (setup.py): error\nModuleNotFoundError: No module named 'torch'",
        "build-isolation",
    ),
    ("[37/73] c++ ...\nKilled\nninja: build stopped: subcommand failed.", "build-out-of-memory"),
    (
        "RuntimeError:\nThe detected CUDA version (12.2) mismatches the version that was used to compile",
        "nvcc-other-cuda",
    ),
    ("csrc/x.cu:4:10: fatal error: cudnn.h: No such file or directory", "transformer-engine-cudnn"),
    ("csrc/x.cu:4:10: fatal error: cusparse.h: No such file or directory", "header-missing"),
    ("csrc/x.cu:4:10: fatal error: infiniband/mlx5dv.h: No such file or directory", "header-missing"),
    ("nvcc fatal   : Unsupported gpu architecture 'compute_120'", "toolkit-before-sm120"),
    ("error: [Errno 28] No space left on device", "no-space"),
]


@pytest.mark.parametrize(("log", "cause"), BUILDS, ids=[cause for _, cause in BUILDS])
def test_a_build_log_names_its_cause(log: str, cause: str) -> None:
    assert [finding.id for finding in causes_in_log(log)] == [cause]


def test_only_roots_are_returned_with_what_they_explain() -> None:
    log = (
        "WARNING Failed to import from vllm._C with ImportError('/vllm/_C.so: undefined symbol: _ZN3c106getenvE')\n"
        "AttributeError: '_OpNamespace' '_C' object has no attribute 'rms_norm'\n"
    )

    causes = causes_in_log(log)

    assert [(cause.id, cause.explains) for cause in causes] == [("vllm-abi", ("vllm-op-missing",))]


def test_what_the_facts_alone_say_is_no_cause_of_the_log() -> None:
    facts = Facts(packages={"transformers": "4.56.0", "huggingface-hub": "1.2.0"})

    assert causes_in_log("Training done", facts) == ()
    assert [cause.id for cause in causes_in_log("fatal error: Python.h: No such file", facts)] == ["python-headers"]


def test_the_facts_decide_what_a_message_means() -> None:
    log = "OSError: libnvrtc.so.12: cannot open shared object file"

    assert [cause.id for cause in causes_in_log(log, Facts(torch_flavour="13.0"))] == ["cuda12-package-in-cuda13"]
    assert [cause.id for cause in causes_in_log(log, Facts(torch_flavour="12.8"))] == ["cuda-library-missing"]


def test_a_log_as_a_terminal_shows_it() -> None:
    log = "\x1b[31m> fatal error: Python.h: No such file or directory\x1b[0m\r\n" + "x" * 10 + "\r\n"

    assert [cause.id for cause in causes_in_log(log)] == ["python-headers"]


CUBLAS = "OSError: libcublas.so.13: cannot open shared object file: No such file or directory"


@pytest.mark.parametrize(
    ("known", "cause"),
    [
        ("", "cuda-library-missing"),
        ("CUDA used to build PyTorch: 12.8\n", "cuda13-package-in-cuda12"),
        ("CUDA used to build PyTorch: 13.0\n", "cuda-library-missing"),
        ("nvidia-cublas-cu12==12.8.3.14\n", "cuda13-package-in-cuda12"),
        ("CUDA Version: 12.8 Driver Version: 570.86.10\n", "cuda13-package-in-cuda12"),
        ("CUDA Version: 13.0 Driver Version: 580.65.06\n", "cuda-library-missing"),
    ],
)
def test_a_missing_library_is_left_out_or_of_another_cuda(known: str, cause: str) -> None:
    facts = facts_of(known) if known else Facts()

    assert [finding.id for finding in causes_in_log(CUBLAS, facts)] == [cause]


def test_a_broken_vllm_explains_the_names_that_it_lacks() -> None:
    log = (
        "ImportError: /e/site-packages/vllm/_C.abi3.so: undefined symbol: _ZN3c106getenvE\n"
        "ImportError: cannot import name 'get_tcp_uri' from 'vllm.utils' (/e/site-packages/vllm/utils.py)\n"
    )

    assert [(cause.id, cause.explains) for cause in causes_in_log(log)] == [("vllm-abi", ("vllm-names",))]


def test_the_platforms_that_vllm_asks_for_at_its_start() -> None:
    log = "DEBUG ROCm platform is not available because: No module named 'amdsmi'\n"

    assert causes_in_log(log) == ()
    assert [cause.id for cause in causes_in_log(log, Facts(torch_flavour="rocm7.0"))] == ["amdsmi-missing"]


FLASH = "ImportError: flash_attn_2_cuda.so: undefined symbol: _ZN3c105ErrorC2ENS_14SourceLocationESs"


def _found(check: str, basis: str, explains: tuple[str, ...]) -> Check:
    """A check that finds its matter in the facts, in the log, or not at all."""
    return Check(
        id=check,
        theme="abi",
        severity="error",
        title=check,
        cause=check,
        remedy=Remedy(check),
        covers=(),
        sources=("test",),
        find=(lambda _: Hit(("fact",))) if basis == "facts" else None,
        log=(r"undefined symbol",),
        from_log=(lambda *_: None) if basis == "facts" else None,
        explains=explains,
    )


def test_a_fact_that_explains_what_the_log_shows_is_its_root() -> None:
    checks = [_found("leak", "facts", ("flash",)), _found("flash", "log", ()), _found("other", "facts", ())]

    assert [(one.id, one.explains) for one in causes_in_log(FLASH, Facts(), checks)] == [("leak", ("flash",))]
