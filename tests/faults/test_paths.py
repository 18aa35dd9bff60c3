"""Paths with characters that shells, URLs and requirements files read as something else: each works, or is refused."""

import os
import shutil
import subprocess

import pytest

from tests.faults.worlds import ENV, World, run
from verl_env.environment.errors import TargetPathUnusableError
from verl_env.environment.target import open_target

#: What an environment's path may hold.
WORKING = {
    "blank, quote and brackets": 'a b"c[d](e){f,g}<h>',
    "command": "$(touch pwned)`touch pwned`;touch pwned;&",
    "address, pattern and backslash": "a%20b%s#c?d=e@f+g*h~i!j|k^l\\m",
    "dash and unicode": "-é日本",
    "long": "n" * 250,
}
#: What it may not.
REFUSED = {
    "single quote": "a'b",
    "colon": "a:b",
    "newline": "a\nb",
    "tab": "a\tb",
    "escape": "a\x1b[31mb",
    "no UTF-8": os.fsdecode(b"a\xffb"),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("paths"))


@pytest.mark.parametrize("name", REFUSED.values(), ids=REFUSED)
def test_what_cannot_work_is_refused_before_anything_is_made(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    with pytest.raises(TargetPathUnusableError):
        open_target(folder / ".venv")
    assert list(folder.iterdir()) == []


def test_a_path_that_leaves_no_room_is_refused(tmp_path):
    with pytest.raises(TargetPathUnusableError, match="bytes long"):
        open_target(tmp_path.joinpath(*["n" * 200] * 12))


@pytest.mark.slow
@pytest.mark.parametrize("name", WORKING.values(), ids=WORKING)
def test_scripts_activate_and_additions_work(world, tmp_path, name):
    if shutil.which("bash") is None:
        pytest.skip("no bash")
    into = tmp_path / name / ".venv"
    into.parent.mkdir()
    world.install("a", into=into)
    asked = 'cd / && . "$0/bin/activate" && demo-run && python -c "import demo" && command -v demo-run && deactivate'
    done = subprocess.run(["bash", "-c", asked, into], capture_output=True, text=True, check=True, env=ENV)
    assert done.stdout.splitlines() == ["1.0", f"{into}/bin/demo-run"]
    assert run("run", "--into", into, "--", "demo-run").stdout == "1.0\n"
    world.pip("install", "thing", into=into)
    assert subprocess.run([into / "bin" / "thing"], capture_output=True, text=True, check=True).stdout == "thing\n"
    world.install("b", into=into)
    assert subprocess.run([into / "bin" / "demo-run"], capture_output=True, text=True, check=True).stdout == "2.0\n"
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(WORKING.values())[:3], ids=list(WORKING)[:3])
def test_caches_wheelhouses_and_configurations_may_lie_there_too(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    world = World(folder, into=tmp_path / "project" / ".venv")
    world.install("a")
    world.pip("install", "thing")
    config = folder / "config.toml"
    config.write_text("")
    assert run("config", "show", env={"VERL_ENV_CONFIG": str(config)}).returncode == 0
    assert not list(tmp_path.rglob("pwned"))
