"""The manual page holds every command and is clean troff."""

import shutil
import subprocess

import pytest

from tests.docs.test_build import ROOT, build
from verl_env.cli.commands import COMMANDS


@pytest.fixture(scope="module")
def page():
    return build.man_page()


def test_it_is_current(page):
    assert (ROOT / "docs" / "verl-env.1").read_text() == page, "run: python docs/build.py"


def test_every_command_and_option_is_in_it(page):
    assert all(f".SS verl\\-env {name}" in page for name in COMMANDS)
    assert r"\fB\-\-wheelhouse\fR \fIDIR\fR" in page
    assert r"verl\-env cluster doctor \-\-nodes 4" in page


def test_text_cannot_be_a_command_of_troff():
    assert build.man_page.__globals__["_text"](".so /etc/passwd \\*x") == r"\&.so /etc/passwd \e*x"


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff")
def test_groff_has_no_complaint(page, tmp_path):
    file = tmp_path / "page.1"
    file.write_text(page)
    done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", str(file)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert max(map(len, done.stdout.splitlines())) < 400
