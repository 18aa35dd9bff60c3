import sys
import time

import pytest

from verl_env.cluster.stream import stream


def run(script, **more):
    lines, errors = [], []
    settings = {"seconds": 20, "on_line": lines.append, "on_error": errors.append, **more}
    return stream([sys.executable, "-c", script], **settings), lines, errors


def test_lines_come_whole_and_the_last_needs_no_line_break():
    ended, lines, errors = run("import sys; print('a' * 3_000_000); print('b', end=''); print('c', file=sys.stderr)")
    assert (ended.code, ended.late) == (0, False)
    assert [len(line) for line in lines] == [3_000_000, 1]
    assert errors == [b"c"]


def test_the_exit_code_is_that_of_the_launcher():
    assert run("raise SystemExit(7)")[0].code == 7


def test_a_launcher_that_hangs_is_ended_at_the_deadline():
    started = time.monotonic()
    ended, lines, _ = run("import time; print('here', flush=True); time.sleep(600)", seconds=1)
    assert (ended.code, ended.late, lines) == (None, True, [b"here"])
    assert time.monotonic() - started < 10


def test_it_is_left_when_nothing_more_is_expected():
    lines = []
    started = time.monotonic()
    script = "import time; print('answer', flush=True); time.sleep(600)"
    ended, _, _ = run(script, on_line=lines.append, done=lambda: bool(lines), patience=0.1)
    assert ended.code is None
    assert time.monotonic() - started < 10


def test_a_program_that_is_not_there():
    with pytest.raises(OSError, match="No such file"):
        stream(["/nowhere/srun"], seconds=1, on_line=print, on_error=print)
