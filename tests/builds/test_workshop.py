import os
import subprocess

import pytest

from tests.builds.facts import host, job
from tests.install.plans import Recorder
from verl_env.builds import workshop as module
from verl_env.builds.errors import NativeBuildFailedError
from verl_env.builds.model import Places
from verl_env.builds.workshop import Workshop, opened, trim_logs
from verl_env.installers.base import Source


@pytest.fixture
def shop(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    on = host(environ={"PATH": os.environ["PATH"]})
    return Workshop(root, on, Places(tmp_path / "cache"), Recorder(), Source())


def test_output_is_kept_and_steps_are_told(shop):
    shop.run(job(), ("sh", "-c", "echo '[1/2] a'; echo '[2/2] b'; pwd"))
    text = shop.log(job()).read_text()
    assert "[2/2] b" in text
    assert str(shop.root) in text
    assert ("demo-ext 1.0", 2, 2) in shop.reporter.built


def test_a_quiet_command_is_told_of_too(shop):
    shop.run(job(), ("sleep", "0.4"))
    assert len(shop.reporter.built) >= 2
    assert set(shop.reporter.built) == {("demo-ext 1.0", None, None)}


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [("echo why; exit 3", 3, "ended with exit code 3"), ("echo why; kill -9 $$", -9, "was killed by signal 9")],
)
def test_a_failure_names_its_end_and_its_log(shop, command, code, words):
    with pytest.raises(NativeBuildFailedError) as caught:
        shop.run(job(), ("sh", "-c", command))
    error = caught.value
    assert (error.code, error.tail) == (code, ("why",))
    assert words in error.message
    assert error.log.read_text().endswith("why\n")


def test_a_program_that_is_not_there_cannot_be_started(shop):
    with pytest.raises(OSError, match="gone"):
        shop.run(job(), ("/nowhere/gone",))


def test_the_place_goes_with_everything_in_it(tmp_path):
    with opened(host(environ={"TMPDIR": str(tmp_path)})) as root:
        (root / "deep").mkdir()
        assert root.parent == tmp_path
    assert not list(tmp_path.iterdir())


def test_what_dead_runs_left_goes_and_what_live_ones_have_stays(tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    names = {f"{module._PREFIX}{dead.pid}-a": False, f"{module._PREFIX}{os.getpid()}-b": True}
    names |= {f"verl-env-build-elsewhere.example-{dead.pid}-c": True, "other": True}
    for name in names:
        (tmp_path / name / "deep").mkdir(parents=True)
    with opened(host(environ={"TMPDIR": str(tmp_path)})):
        assert {name: (tmp_path / name).exists() for name in names} == names


def test_the_newest_logs_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "KEPT_LOGS", 2)
    places = Places(tmp_path)
    places.logs.mkdir()
    for number in range(4):
        log = places.logs / f"{number}.log"
        log.write_text("")
        os.utime(log, (number, number))
    trim_logs(places)
    assert sorted(path.name for path in places.logs.iterdir()) == ["2.log", "3.log"]
