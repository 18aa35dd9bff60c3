import io
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.install.plans import lockset, plan
from verl_env.cli.render import install as render_install
from verl_env.cli.render.install import LISTED, InstallProgress, Passed, change_text, changes
from verl_env.environment.history import Change
from verl_env.locksets.model import Package
from verl_env.plans.model import Step


def console(**more):
    return Console(file=io.StringIO(), width=200, **more)


def text(console):
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (Change("+", "a", None, "1"), "+ a 1"),
        (Change("-", "a", "1", None), "- a 1"),
        (Change("~", "a", "1 (from file:///x[y])", "2"), "~ a 1 (from file:///x[y]) -> 2"),
    ],
)
def test_lines_of_changes(change, line):
    assert change_text(change) == line
    out = console()
    changes(out, plan([]), [change], verbose=False)
    assert text(out) == f"{line}\n"


def many(kind, number):
    old, new = (None if kind == "+" else "1"), (None if kind == "-" else "2")
    return [Change(kind, f"p{n}", old, new) for n in range(number)]


@pytest.mark.parametrize(
    ("kind", "line"), [("+", f"+ {LISTED + 1} packages (42 kB)"), ("-", f"- {LISTED + 1} packages")]
)
def test_many_changes_are_counted_with_their_size(kind, line):
    packages = [Package(f"p{n}", "2", (), download_bytes=2000, disk_bytes=1) for n in range(LISTED + 1)]
    out = console()
    changes(out, plan(packages), many(kind, LISTED + 1), verbose=False)
    assert text(out) == f"{line}\n"
    out = console()
    changes(out, plan(packages), many(kind, LISTED + 1), verbose=True)
    assert text(out).count("\n") == LISTED + 1


def test_without_a_terminal_there_are_plain_lines():
    out = console()
    progress = InstallProgress(out, 2)
    assert progress.terminal is None
    step = Step("packages", "install [all]", "4 GB")
    progress.begin(step)
    progress.progress("flash-attn", 10, 20)
    progress.end(step, 61.23, "216 installed")
    progress.warn("no [hash]")
    assert text(out) == ("[1/2] install [all] (4 GB)\n      216 installed, 61.2 s\nwarning: no [hash]\n")


def test_a_build_without_a_step_is_told_of_too():
    """``verl-env pip install`` has no steps."""
    out = console()
    progress = InstallProgress(out, 0)
    progress.building("demo 1.0", 1, 3, 5.0)
    assert "demo" not in text(out)


def test_on_a_terminal_a_download_is_redrawn(monkeypatch):
    written = []
    monkeypatch.setattr(render_install, "_write_stderr", written.append)
    progress = InstallProgress(console(force_terminal=True), 1)
    progress.progress("flash-attn", 10_000_000, 20_000_000)
    progress.progress("flash-attn", 10_000_001, 20_000_000)
    progress.progress("flash-attn", 20_000_000, 20_000_000)
    progress.progress("other", 5, None)
    progress.end(Step("native", "t"), 1, "")
    drawn = b"".join(written)
    assert b"10 MB of 20 MB" in drawn
    assert b"20 MB of 20 MB" in drawn
    assert drawn.count(b"\r") == 2
    assert drawn.endswith(b"\n")


LIST = (
    b"\x1b[2mUsing Python 3.10.13 environment at: /e/.venv.d/0001\x1b[0m\n"
    b"\x1b[37m*\x1b[0m Resolving...\r\x1b[2KResolved 2 packages\n"
    b" \x1b[32m+\x1b[39m \x1b[1mdemo\x1b[0m==1.0\n"
    b" \x1b[31m-\x1b[39m \x1b[1mother\x1b[0m==1.0\n"
    b" + plain==1.0\n"
    b"   --- 50% of 4 GB\r   --- 100%\n"
    b"warning: something\n"
)


@given(st.lists(st.integers(0, len(LIST)), max_size=30))
def test_uvs_list_is_left_out_however_the_output_is_cut(cuts):
    shown = []
    passed = Passed(shown.append)
    places = [0, *sorted(cuts), len(LIST)]
    for start, end in pairwise(places):
        passed(LIST[start:end])
    output = re.sub(rb"\x1b\[[\d;]*m", b"", b"".join(shown))
    assert output == (
        b"* Resolving...\r\x1b[2KResolved 2 packages\n   --- 50% of 4 GB\r   --- 100%\nwarning: something\n"
    )


@pytest.mark.parametrize("part", [b"   --- 50%\r", b"\x1b[37m*\x1b[0m Res", b"Downloading torch"])
def test_progress_is_shown_at_once(part):
    shown = []
    Passed(shown.append)(part)
    assert b"".join(shown) == part


def test_the_list_of_steps_names_each():
    out = console()
    render_install.steps(out, plan([], lock=lockset()))
    assert text(out).count("\n") == 5
