"""A failure that no check explains is not health; nor is a file in which nothing was read."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from verl_env.cli.main import main
from verl_env.doctor.checks import CHECKS
from verl_env.doctor.ingest.report import facts_of
from verl_env.doctor.reports import diagnose_report

if TYPE_CHECKING:
    from pathlib import Path

STRANGE = """- **vllm version**: 0.19.0
- torch: 2.10.0
Traceback (most recent call last):
  File "/e/lib/python3.12/site-packages/vllm/frob.py", line 3, in run
    nicate()
ValueError: the frobnicator has no nicator left
"""


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main(["doctor", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_strange_failure_is_told_with_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r").write_text(STRANGE)

    code, said = asked(capsys, "--report", str(tmp_path / "r"))

    assert (code, said["ok"]) == (1, None)
    (unknown,) = said["unrecognised"]
    assert unknown["line"] == "ValueError: the frobnicator has no nicator left"
    assert (unknown["package"], unknown["file"]) == ("vllm", "vllm/frob.py")
    assert any("0.19.0" in line for line in unknown["known"])


def test_its_text_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r").write_text(STRANGE)

    assert main(["doctor", "--report", str(tmp_path / "r")]) == 1
    out = capsys.readouterr().out
    assert "this failure is not known" in out
    assert "healthy" not in out
    assert main(["doctor", "--report", str(tmp_path / "r"), "--markdown"]) == 1
    assert "not known" in capsys.readouterr().out


def test_what_a_check_explains_is_not_listed() -> None:
    text = STRANGE + "ImportError: libnuma.so.1: cannot open shared object file: No such file or directory\n"

    diagnosis = diagnose_report(facts_of(text), CHECKS)

    assert diagnosis.ok is False
    assert diagnosis.unrecognised == ()


@pytest.mark.parametrize("text", ["Shall I compare thee to a summer's day?\nThou art more lovely.", "{}", "- \n- \n-"])
def test_a_file_in_which_nothing_was_read(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r").write_text(text)

    code, said = asked(capsys, "--report", str(tmp_path / "r"))

    assert (code, said["ok"], said["read"]) == (1, None, [])
    assert main(["doctor", "--report", str(tmp_path / "r")]) == 1
    out = capsys.readouterr().out
    assert "nothing was read" in out
    assert "healthy" not in out


@pytest.mark.parametrize("kind", ["binary", "one line", "colours"])
def test_much_noise_is_quick_and_clear(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = 24_000_000
    data = {
        "binary": lambda: os.urandom(size),
        "one line": lambda: b"a" * size,
        "colours": lambda: b"\x1b[31mxx \x1b]0;" * (size // 12),
    }[kind]()
    (tmp_path / "r").write_bytes(data)
    started = time.process_time()

    code = main(["doctor", "--report", str(tmp_path / "r")])

    assert code in {1, 2}
    assert "healthy" not in capsys.readouterr().out
    assert time.process_time() - started < 20


def test_standard_input_and_several_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(STRANGE.encode())))
    (tmp_path / "well").write_text("torch==2.10.0\nvllm==0.19.0\n")

    code, said = asked(capsys, "--report", "-", str(tmp_path / "well"))

    assert code == 1
    assert [(one["report"], one["ok"]) for one in said["reports"]] == [("-", None), (str(tmp_path / "well"), True)]


def test_strict_counts_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r").write_text("export VLLM_USE_V1=0\nvllm==0.11.0\n")

    code, said = asked(capsys, "--report", str(tmp_path / "r"))
    strict, _ = asked(capsys, "--report", str(tmp_path / "r"), "--strict")

    assert any(finding["severity"] == "warning" for finding in said["findings"])
    assert (code, strict) == (0, 1)


LOCK = """version = 1
[[package]]
name = "torch"
version = "2.11.0"
source = { registry = "x" }
[[package]]
name = "vllm"
version = "0.33.0"
"""


def test_pins_are_judged_before_they_are_installed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "uv.lock").write_text(LOCK)
    (tmp_path / "good.txt").write_text("torch==2.11.0  # pinned\nvllm==0.24.0\n")
    machine = ("--gpu", "h100:8", "--driver", "580.65.06")
    before = ("--gpu", "h100:8", "--driver", "535.288.01")

    code, said = asked(capsys, "--lock", str(tmp_path / "uv.lock"), *machine)
    good, _ = asked(capsys, "--requirements", str(tmp_path / "good.txt"), *machine)
    old, driver = asked(capsys, "--requirements", str(tmp_path / "good.txt"), *before)

    assert code == 1
    assert "vllm-abi" in said["roots"]
    assert good == 0
    assert (old, driver["roots"]) == (1, ["driver-too-old"])


def test_what_excludes_one_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r").write_text("torch==2.11.0")

    assert main(["doctor", "--report", str(tmp_path / "r"), "--lock", str(tmp_path / "r")]) == 2
    assert main(["doctor", "--lock", str(tmp_path / "r"), "--fix"]) == 2
    assert "give one" in capsys.readouterr().err


def test_a_long_log_keeps_what_tells_of_a_failure_in_its_middle() -> None:
    noise = "step 1 of many, loss 0.1 and so on\n" * 20_000
    frame = '  File "/e/x.py", line 3, in f\n'
    failing = f"Traceback (most recent call last):\n{frame}IndexError: list index out of range\n"

    said = facts_of(noise + failing + noise).log

    assert "IndexError: list index out of range" in said
    assert len(facts_of(noise + failing * 20_000 + noise).log) < 700_000
