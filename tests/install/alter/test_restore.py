"""What the doctor says of a broken environment with a lockset is carried out, and the doctor is asked again."""

import json
import shutil

import pytest

from tests.install.plans import Recorder, lockset, options
from verl_env.doctor import gather as gathering
from verl_env.doctor.checks import CHECKS
from verl_env.doctor.engines.host import HostFacts
from verl_env.doctor.fix import Means, apply, steps
from verl_env.doctor.run import diagnose
from verl_env.environment.state import FILE, read_state
from verl_env.install.alter import restore
from verl_env.machine.model import Machine

ASKED = {"install-dirty", "files-damaged", "lockset-drift", "opencv-builds"}


@pytest.fixture
def patched(world, monkeypatch):
    for module in (restore, gathering):
        monkeypatch.setattr(module, "load_catalogue", lambda: [lockset()])
        monkeypatch.setattr(module, "packages_of", lambda *_, **__: tuple(world.lock))
    return world


def asked(world, path=None):
    facts = gathering.gather(path or world.path, {}, Machine(), host=HostFacts())
    return facts, diagnose(facts, [check for check in CHECKS if check.id in ASKED])


def mended(world):
    """Carries out every remedy that --fix would; what the doctor finds then."""
    facts, before = asked(world)
    settings = options(world.tmp_path, offline=True, wheelhouse=world.house.path)
    for step in steps(before):
        outcome = apply(step, facts, before, lambda path: asked(world, path)[1], means=Means(settings, Recorder()))
        assert outcome.state == "mended", outcome.detail
    return [one.id for one in before.findings], [one.id for one in asked(world)[1].findings]


def second(world, *, recorded):
    folder = world.site / "numpy-2.1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 2.1.0\n")
    if recorded:
        (folder / "RECORD").write_text("numpy-2.1.0.dist-info/METADATA,,\nnumpy-2.1.0.dist-info/RECORD,,\n")


def replaced(path, text):
    """Another file of that name, as the one there is a hard link."""
    path.unlink()
    path.write_text(text)


@pytest.mark.parametrize("recorded", [True, False])
def test_a_second_dist_info(patched, recorded):
    second(patched, recorded=recorded)
    before, after = mended(patched)
    assert ("install-dirty" in before, after) == (True, [])
    assert patched.have == {"engine": "0.8", "numpy": "1.26.4", "torch": "2.6.0"}
    assert [path.name for path in patched.site.glob("numpy-*")] == ["numpy-1.26.4.dist-info"]


def test_a_file_that_is_gone(patched):
    (patched.site / "numpy" / "__init__.py").unlink()
    assert mended(patched) == (["files-damaged"], [])
    assert (patched.site / "numpy" / "__init__.py").read_text() == "version = '1.26.4'\n"


def test_another_version(patched):
    patched.add("numpy==2.1.0", "--allow-drift", "--no-deps")
    state = read_state(patched.path)
    file = patched.path / FILE
    data = json.loads(file.read_text())
    replaced(file, json.dumps({**data, "drift": {}}))
    assert state.drift == {"numpy": "2.1.0"}
    before, after = mended(patched)
    assert (before, after, patched.have["numpy"]) == (["lockset-drift"], [], "1.26.4")
    assert read_state(patched.path).drift == {}


def test_what_cannot_be_had_changes_nothing(patched):
    second(patched, recorded=True)
    shutil.rmtree(patched.house.path)
    patched.house.path.mkdir()
    facts, before = asked(patched)
    settings = options(patched.tmp_path, offline=True, wheelhouse=patched.house.path)
    (step,) = steps(before)
    outcome = apply(step, facts, before, lambda _: pytest.fail("asked"), means=Means(settings, Recorder()))
    assert outcome.state == "failed"
    assert (patched.site / "numpy" / "__init__.py").exists()
