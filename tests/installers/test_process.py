import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl_env.installers import process
from verl_env.installers.base import Command
from verl_env.installers.process import KEPT_BYTES, plain_text, run


def python(code, **env):
    return Command((sys.executable, "-u", "-c", code), {"PATH": os.environ["PATH"], **env})


def alive(pid):
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pid):
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not alive(pid)


@pytest.fixture(params=["pipe", "terminal"])
def shown(request):
    """Where output is shown: nowhere, or a list that stands for a terminal."""
    return None if request.param == "pipe" else []


def show(shown):
    return None if shown is None else shown.append


def test_output_and_exit_code(shown):
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    done = run(python(code), show(shown))
    assert (done.code, sorted(done.output.split())) == (3, ["err", "out"])


def test_the_environment_is_the_one_given_and_the_directory_is_the_root(shown):
    done = run(python("import os; print(os.environ['A'], 'HOME' in os.environ, os.getcwd())", A="1"), show(shown))
    assert done.output.split() == ["1", "False", "/"]


def test_a_terminal_is_a_terminal_and_a_pipe_is_not(shown):
    done = run(
        python("import sys; print(sys.stdout.isatty(), sys.stderr.isatty(), sys.stdin.read() == '')"), show(shown)
    )
    assert done.output.split() == [str(shown is not None)] * 2 + ["True"]


def test_what_a_terminal_shows_is_passed_on_as_it_is():
    shown = []
    run(python("print('\\x1b[32mgreen\\x1b[0m')"), shown.append)
    assert b"".join(shown) == b"\x1b[32mgreen\x1b[0m\n"


def test_the_end_of_a_long_output_is_kept(shown):
    done = run(python(f"print('x' * {2 * KEPT_BYTES}); print('last')"), show(shown))
    assert done.output.endswith("last\n")
    assert len(done.output) <= KEPT_BYTES


def test_a_grandchild_that_keeps_the_output_open_holds_nobody_up(shown):
    code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid)"
    started = time.monotonic()
    done = run(python(code), show(shown))
    assert time.monotonic() - started < 30
    assert gone(int(done.output))


def test_a_signal_is_a_negative_code(shown):
    assert run(python("import os; os.kill(os.getpid(), 9)"), show(shown)).code == -9


def test_what_cannot_be_started_is_an_error():
    with pytest.raises(FileNotFoundError):
        run(Command(("/nowhere/uv",), {}))


def test_an_interrupt_ends_the_command_and_its_children(shown, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "PATIENCE", 0.3)
    marker = tmp_path / "pids"
    code = (
        "import os, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(marker)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}\\n')\n"
        "time.sleep(60)\n"
    )

    def interrupt(*_):
        raise KeyboardInterrupt

    def on_alarm(*_):
        if marker.exists() and marker.read_text().endswith("\n"):
            signal.setitimer(signal.ITIMER_REAL, 0)
            interrupt()

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(python(code), show(shown))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert all(gone(int(pid)) for pid in marker.read_text().split())


def test_a_command_ends_with_its_parent(tmp_path):
    marker = tmp_path / "pid"
    code = f"import os, time; open({str(marker)!r}, 'w').write(f'{{os.getpid()}}\\n'); time.sleep(60)"
    parent = os.fork()
    if parent == 0:
        try:
            run(python(code))
        finally:
            os._exit(0)
    while not (marker.exists() and marker.read_text().endswith("\n")):
        time.sleep(0.01)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    assert gone(int(marker.read_text()))


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (b"plain\n", "plain\n"),
        (b"\x1b[1m\x1b[31merror\x1b[0m: x\r\n", "error: x\n"),
        (b" 10%\r 50%\r100%\r\n", "100%\n"),
        (b"\x1b]0;title\x07ok\n", "ok\n"),
        (b"\x1b[2K\x1b[1Gdone  \n", "done\n"),
        (b"\xff\xfe\n", "\N{REPLACEMENT CHARACTER}" * 2 + "\n"),
    ],
)
def test_terminal_output_as_text(output, text):
    assert plain_text(output) == text


@given(st.binary(max_size=200))
def test_any_bytes_become_text_without_control_sequences(output):
    assert not re.search("\x1b\\[[0-9;]*m", plain_text(output))
