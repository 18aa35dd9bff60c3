"""What a report or an environment says reaches no shell and no terminal, and what cannot be read is said."""

import json
import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from verl_env.cli.render.doctor import markdown
from verl_env.command_line import visible
from verl_env.doctor.checks import CHECKS
from verl_env.doctor.gather import gather
from verl_env.doctor.ingest.report import facts_of
from verl_env.doctor.run import diagnose
from verl_env.machine.model import Machine

EVIL = ("/x; evil | sh #", "/x$(evil)", "/x`evil`", "/x\nevil", "/x' ; evil '", '/x" ; evil "', "/x && evil", "/x>evil")
NAMES = [
    "CUDA_HOME",
    "CUDA_PATH",
    "CUDNN_PATH",
    "CUDNN_HOME",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "CPATH",
    "LIBRARY_PATH",
    "PATH",
    "PYTHONPATH",
    "CC",
    "CXX",
    "NCCL_SOCKET_IFNAME",
    "GLOO_SOCKET_IFNAME",
    "CUDA_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "VLLM_PLUGINS",
    "VLLM_ATTENTION_BACKEND",
    "RAY_TMPDIR",
    "TMPDIR",
    "HF_HOME",
    "TORCH_CUDA_ARCH_LIST",
    "TRITON_PTXAS_PATH",
    "VLLM_CACHE_ROOT",
    "FLASHINFER_CUDA_ARCH_LIST",
    "PYTORCH_CUDA_ALLOC_CONF",
    "NVTE_CUDA_INCLUDE_DIR",
    "TRITON_CACHE_DIR",
]


def _bare(command):
    """The words of a command that a shell would run or open, outside of quotes."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    starts = {0, *(number + 1 for number, word in enumerate(words) if set(word) <= set(";|&()<>\n"))}
    return [words[number] for number in starts if number < len(words)]


@pytest.mark.parametrize("evil", EVIL)
def test_no_value_of_a_report_is_run(evil):
    packages = dict.fromkeys(("torch", "vllm", "flash-attn", "ray", evil, "nvidia-nccl-cu12"), f"1.0{evil}")
    environment = dict.fromkeys(NAMES, evil) | {"CUDA_HOME": f":{evil}"}
    report = {"schema": 1, "python": "3.11", "packages": packages, "environment": environment, "log": evil}
    found = diagnose(facts_of(json.dumps(report)), CHECKS)
    assert found.findings
    for finding in found.findings:
        for command in finding.remedy.commands:
            assert "\n" not in command
            assert not any("evil" in word for word in _bare(command)), command


def test_control_characters_are_shown():
    assert visible("a\x1b[31mb\u202ec\x07\n\td") == "a\\x1b[31mb\\u202ec\\x07\n\td"
    report = {"schema": 1, "environment": {"CUDA_HOME": ":/x\x1b]0;t\x07"}, "packages": {"torch": "2.6"}, "log": ""}
    text = markdown(diagnose(facts_of(json.dumps(report)), CHECKS), subject="a report")
    assert "\x1b" not in text
    assert "\x07" not in text


@pytest.fixture
def environment(tmp_path):
    """A small environment, with one package."""
    site = tmp_path / "env" / "lib" / "python3.11" / "site-packages"
    info = site / "demo-1.0.dist-info"
    info.mkdir(parents=True)
    (tmp_path / "env" / "bin").mkdir()
    (tmp_path / "env" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "env" / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.7\n")
    (info / "METADATA").write_text("Name: demo\nVersion: 1.0\n")
    (info / "INSTALLER").write_text("pip\n")
    (site / "demo.py").write_text("")
    (info / "RECORD").write_text("demo.py,,0\ndemo-1.0.dist-info/RECORD,,\n")
    return tmp_path / "env"


def _found(environment):
    checks = [check for check in CHECKS if check.id in {"files-damaged", "requirements-unmet", "not-looked"}]
    diagnosis = diagnose(gather(environment, {}, Machine()), checks)
    return diagnosis, [line for one in diagnosis.findings if one.id == "not-looked" for line in one.evidence]


def test_a_readable_environment_has_no_such_finding(environment):
    diagnosis, lines = _found(environment)
    assert (diagnosis.ok, lines) == (True, [])


def _unix_socket(path):
    here = Path.cwd()
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


@pytest.mark.parametrize("name", ["RECORD", "METADATA", "INSTALLER", "WHEEL", "direct_url.json"])
@pytest.mark.parametrize(
    ("make", "word"),
    [
        (os.mkfifo, "FIFO"),
        (_unix_socket, "socket"),
        (lambda path: path.symlink_to("/dev/zero"), "device"),
        (lambda path: path.symlink_to("/dev/tty"), ""),
        (lambda path: path.mkdir(), "directory"),
        (lambda path: path.symlink_to(path.name), ""),
        (lambda path: (path.touch(), os.truncate(path, 1 << 40)), "longer"),
    ],
)
def test_what_is_no_file_is_told_and_not_waited_for(environment, name, make, word):
    file = environment / "lib" / "python3.11" / "site-packages" / "demo-1.0.dist-info" / name
    file.unlink(missing_ok=True)
    make(file)
    diagnosis, lines = _found(environment)
    assert diagnosis.ok is not True
    assert word in " ".join(lines)
    assert name in " ".join(lines)


@pytest.mark.parametrize(
    "record", ["", "demo.py,,²\n", f"demo.py,,{'9' * 6000}\n", "demo.py,," + "x" * 200_000, "\0" * 99]
)
def test_odd_records_end_in_a_word(environment, record):
    info = environment / "lib" / "python3.11" / "site-packages" / "demo-1.0.dist-info"
    (info / "RECORD").write_text(record)
    diagnosis, lines = _found(environment)
    assert not diagnosis.skipped
    assert diagnosis.ok is True or lines or diagnosis.findings


@pytest.mark.parametrize("text", ["[" * 100_000, '{"url": ' + "9" * 6000 + "}", "\xff", '{"url": {}}'])
def test_odd_addresses_are_no_traceback(environment, text):
    info = environment / "lib" / "python3.11" / "site-packages" / "demo-1.0.dist-info"
    (info / "direct_url.json").write_text(text)
    diagnosis, _ = _found(environment)
    assert not diagnosis.skipped


def test_five_thousand_distributions_in_three_seconds(environment):
    """With 100,000 requirements; on a quiet machine 1 s."""
    site = environment / "lib" / "python3.11" / "site-packages"
    for number in range(5000):
        info = site / f"p{number}-1.0.dist-info"
        info.mkdir()
        needs = "".join(f"Requires-Dist: p{(number + k * 7) % 5000}>=0.{k}\n" for k in range(20))
        (info / "METADATA").write_text(f"Name: p{number}\nVersion: 1.0\n{needs}")
        (info / "RECORD").write_text(f"p{number}-1.0.dist-info/METADATA,,\n")
    code = (
        "import sys, time; from pathlib import Path; from verl_env.doctor.checks import CHECKS\n"
        "from verl_env.doctor.gather import gather; from verl_env.doctor.run import diagnose\n"
        "from verl_env.machine.model import Machine\n"
        "s = time.process_time(); d = diagnose(gather(Path(sys.argv[1]), {}, Machine()), CHECKS)\n"
        "print(time.process_time() - s, len(d.skipped))"
    )
    done = subprocess.run([sys.executable, "-c", code, environment], capture_output=True, text=True, check=True)
    seconds, skipped = done.stdout.split()
    assert float(seconds) < 6.0  # CPU time, twice the aim: others may be at work
    assert skipped == "0"
