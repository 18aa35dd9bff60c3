"""The error of a failed program comes first, whatever surrounds it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.doctor.last_words import exit_words, last_words

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "Traceback (most recent call last):"
INNER = (
    '  File "/e/lib/python3.12/site-packages/torch/distributed/c10d.py", line 30, in all_reduce\n    work = group.go()'
)
OUTER = '  File "/p/allreduce.py", line 22, in worker\n    distributed.all_reduce(values)\n    ~~~~~^^^^'
SPAWNED = f"""\
W1120 22:30:11.123000 77 torch/multiprocessing/spawn.py:169] Terminating process 123 via signal SIGTERM
{HEAD}
  File "/p/allreduce.py", line 41, in <module>
    main()
torch.multiprocessing.spawn.ProcessRaisedException:\x20

-- Process 1 terminated with the following error:
{HEAD}
  File "/e/lib/python3.12/site-packages/torch/multiprocessing/spawn.py", line 90, in _wrap
    fn(i, *args)
{OUTER}
{INNER}
torch.distributed.DistBackendError: NCCL error in: NCCLUtils.cpp:94, invalid usage, NCCL version 2.28.9
ncclInvalidUsage: This usually reflects invalid usage of NCCL library.
Last error:
no interface

/usr/lib/python3.12/multiprocessing/resource_tracker.py:254: UserWarning: 1 leaked semaphore
  warnings.warn('resource_tracker: %d'
"""


def test_a_spawned_worker() -> None:
    assert last_words(SPAWNED, "exit code 1") == (
        "torch.distributed.DistBackendError: NCCL error in: NCCLUtils.cpp:94, invalid usage, NCCL version 2.28.9",
        "ncclInvalidUsage: This usually reflects invalid usage of NCCL library.",
        "Last error: no interface",
        "at torch/distributed/c10d.py:30 in all_reduce",
        "at /p/allreduce.py:22 in worker",
        "exit code 1",
    )


CASES = {
    "a chain ends with its last error": (
        f"{HEAD}\n{INNER}\nOSError: 1\n\nDuring handling of the above exception:\n{HEAD}\n{OUTER}\nRuntimeError: 2\n",
        ("RuntimeError: 2", "at /p/allreduce.py:22 in worker"),
    ),
    "what is ignored while Python ends is no error": (
        f"{HEAD}\n{OUTER}\nRuntimeError: real\nException ignored in: <function f>\n{HEAD}\n{INNER}\nTypeError: late\n",
        ("RuntimeError: real", "at /p/allreduce.py:22 in worker"),
    ),
    "frames of C++ do not tell": (
        f"{HEAD}\n{OUTER}\nRuntimeError: x\nException raised from f (most recent call first):\nframe #0: f()\n",
        ("RuntimeError: x", "at /p/allreduce.py:22 in worker"),
    ),
    "ranks and colours": (
        f"[rank0]: {HEAD}\n[rank0]: \x1b[31mValueError: bad\x1b[0m\n[rank0]:[W1120 22:1 x.cpp:9] Warning: destroy\n",
        ("ValueError: bad",),
    ),
    "a long message keeps its beginning and its end": (
        f"{HEAD}\n{OUTER}\nImportError: \n\nPLEASE READ\n\na\nb\nc\nOriginal error was:\n/e/x.so: no GLIBC_2.38\n",
        (
            "ImportError: PLEASE READ",
            "c",
            "Original error was: /e/x.so: no GLIBC_2.38",
            "at /p/allreduce.py:22 in worker",
        ),
    ),
    "frames of the import itself do not tell": (
        f'{HEAD}\n{OUTER}\n  File "/l/importlib/__init__.py", line 9, in f\n  File "<frozen>", line 1\nImportError: x',
        ("ImportError: x", "at /p/allreduce.py:22 in worker"),
    ),
}


@pytest.mark.parametrize(("output", "said"), CASES.values(), ids=CASES)
def test_tracebacks(output: str, said: tuple[str, ...]) -> None:
    assert last_words(output, "exit code 1") == (*said, "exit code 1")


def test_without_a_traceback_how_it_ended_is_first() -> None:
    assert last_words("a\n\nb\n/x.py:3: UserWarning: y\nc\nd\n", "killed") == ("killed", "b", "c", "d")
    assert last_words("", "killed") == ("killed",)
    assert last_words(f"{HEAD}\n{OUTER}\n", "killed")[0] == "killed"


def test_a_real_program(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import json\n\ndef f():\n    json.loads('[')\n\nf()\n")
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=False)

    said = last_words(done.stderr, exit_words(done.returncode))

    assert said[0].startswith("json.decoder.JSONDecodeError: Expecting value")
    assert said[-1] == "exit code 1"
    assert all(line.startswith("at ") for line in said[1:-1])


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (3, "exit code 3"),
        (-9, "killed by SIGKILL"),
        (-250, "killed by signal 250"),
    ],
)
def test_how_it_ended(code: int, said: str) -> None:
    assert exit_words(code) == said


@given(st.text(alphabet="ab:\n T", max_size=60), st.text(alphabet="xy:\n ", max_size=40))
def test_any_output_has_an_end(before: str, after: str) -> None:
    plain = last_words(before + after, "the end")
    raised = last_words(f"{before}\n{HEAD}\n{OUTER}\nKeyError: 'k'\n{after}", "the end")

    assert plain[0] == "the end"
    assert raised[0].startswith("KeyError: 'k'")
    assert raised[-1] == "the end"
    assert max(len(plain), len(raised)) <= 6
