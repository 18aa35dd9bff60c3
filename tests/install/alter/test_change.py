"""Adding to an environment and taking out of it, by both installers; nothing that exists is lost or half changed."""

import os
import subprocess

import pytest

from tests.install.environments import is_tidy
from tests.install.plans import Recorder
from tests.install.wheels import sha256
from verl_env.additions.errors import NotInstalledError, NotMadeHereError, PipWouldDriftError, UnresolvedError
from verl_env.environment.errors import EnvironmentLockedError
from verl_env.environment.history import Change
from verl_env.environment.pins import read_pins
from verl_env.errors import UsageError, VerlEnvError
from verl_env.install.alter import change as changing
from verl_env.installers.failures import InstallerFailedError

#: Stands for setuptools: makes an editable wheel of the directory that it runs in.
BACKEND = """
import os
import zipfile


def build_editable(directory, config_settings=None, metadata_directory=None):
    name = "mine-3-py3-none-any.whl"
    with zipfile.ZipFile(f"{directory}/{name}", "w") as archive:
        archive.writestr("mine.pth", os.getcwd())
        archive.writestr("mine-3.dist-info/METADATA", "Metadata-Version: 2.1\\nName: mine\\nVersion: 3\\n")
        archive.writestr("mine-3.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        files = ["mine.pth", *(f"mine-3.dist-info/{file}" for file in ("METADATA", "WHEEL", "RECORD"))]
        archive.writestr("mine-3.dist-info/RECORD", "".join(f"{file},,\\n" for file in files))
    return name


build_wheel = build_editable
"""
LOCK = {"numpy": "1.26.4", "torch": "2.6.0", "engine": "0.8"}


def link(world):
    return os.readlink(world.path)  # noqa: PTH115


def test_what_goes_with_the_pins_is_added_and_remembered(world, installer):
    altered = world.add("--installer", installer, "thing")
    assert altered.changes == (Change("+", "helper", None, "0.2"), Change("+", "thing", None, "1.0"))
    assert (altered.moved, altered.broken) == ((), ())
    assert world.have == LOCK | {"thing": "1.0", "helper": "0.2"}
    assert world.extras == {"thing": "thing", "helper": None}
    assert world.state.drift == {}
    assert subprocess.check_output([world.path / "bin" / "thing"], text=True) == "thing\n"
    assert not list(world.path.with_name(".venv.d").glob("*.stage"))


def test_a_requirement_that_the_image_leaves_unmet_is_in_nobodys_way(world, installer):
    world.add("--installer", installer, "needs-engine")
    assert world.have == LOCK | {"needs-engine": "1.0"}


@pytest.mark.parametrize(
    ("wish", "cause", "moved"),
    [
        ("thing>=2", ("thing", "torch>=2.7"), {"numpy", "torch"}),
        ("deep", ("mid", "torch>=2.7"), {"torch"}),
        ("numpy==2.1.0", ("your command", "numpy==2.1.0"), set()),
        ("torch @ https://example.invalid/torch-2.6.0-py3-none-any.whl", ("your command", "torch @"), set()),
    ],
)
def test_what_would_move_a_pin_is_refused_with_what_needs_it(world, installer, wish, cause, moved):
    before = link(world)
    with pytest.raises(PipWouldDriftError) as caught:
        world.add("--installer", installer, wish)
    by, needs = cause
    error = caught.value
    said = {(each.package, each.locked) for each in error.causes}
    assert said <= set(LOCK.items())
    assert any(by in each.by and needs in f"{each.package}{each.needs}" for each in error.causes) or (
        # uv and pip name different ones of several conflicts
        any(by in each.by and each.package in moved for each in error.causes)
    )
    assert {change.name for change in error.moved} == moved
    assert "is locked at" in error.message
    assert "verl-env pip install --allow-drift" in error.hint
    assert (link(world), world.have, world.extras) == (before, LOCK, {})


def test_what_moves_is_said_and_marked_when_it_is_allowed(world, installer):
    altered = world.add("--installer", installer, "--allow-drift", "thing>=2")
    assert Change("~", "numpy", "1.26.4", "2.1.0") in altered.changes
    assert {change.name for change in altered.moved} == {"numpy", "torch"}
    assert altered.broken == ("engine 0.8 requires torch==2.6.0", "engine 0.8 requires numpy<2")
    assert world.have == LOCK | {"numpy": "2.1.0", "torch": "2.7.0", "thing": "2.0"}
    assert world.state.drift == {"numpy": "2.1.0", "torch": "2.7.0"}
    assert [extra.name for extra in world.state.extras if extra.drifted] == ["thing"]
    assert read_pins(world.path) == LOCK | {"numpy": "2.1.0", "torch": "2.7.0"}


def test_hashes_of_a_requirements_file_decide(world, installer):
    file = world.tmp_path / "r.txt"
    right = sha256(next(world.house.path.glob("helper-*.whl")).read_bytes())
    file.write_text(f"helper==0.2 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(VerlEnvError) as caught:
        world.add("--installer", installer, "-r", str(file))
    assert caught.value.id in {"hash-mismatch", "additions-unresolved"}
    assert world.have == LOCK
    file.write_text(f"helper==0.2 --hash=sha256:{'0' * 64} --hash=sha256:{right}\n")
    world.add("--installer", installer, "-r", str(file))
    assert world.have == LOCK | {"helper": "0.2"}


def test_with_drift_allowed_nothing_moves_that_need_not(world):
    assert world.add("--allow-drift", "thing").moved == ()
    assert (world.have["thing"], world.state.drift) == ("1.0", {})


def test_a_dry_run_changes_nothing(world, installer):
    before = link(world)
    altered = world.add("--installer", installer, "--dry-run", "--allow-drift", "thing>=2")
    assert len(altered.moved) == 2
    assert (link(world), world.have, world.state.drift) == (before, LOCK, {})


def test_what_is_there_already_is_remembered_from_now_on(world):
    """Somebody installed it with plain pip; now it survives repairs."""
    world.add("thing")
    state = world.path / "verl-env.json"
    text = state.read_text()
    state.write_text(text[: text.index('"extras"')] + '"extras": [],\n "drift": {}\n}')
    assert world.extras == {}
    before = link(world)
    assert world.add("thing").changes == ()
    assert world.extras == {"thing": "thing", "helper": None}
    assert link(world) == before


def test_what_the_lock_has_is_no_addition(world):
    assert world.add("numpy").changes == ()
    assert world.extras == {}


def test_an_addition_of_an_addition_is_not_wished_for(world):
    world.add("thing")
    world.add("helper")
    assert world.extras == {"thing": "thing", "helper": "helper"}
    world.add("thing==1.0")
    assert world.extras["thing"] == "thing==1.0"


@pytest.mark.parametrize("wish", ["nosuch", "helper==9", "thing[none]==7"])
def test_what_cannot_be_had_at_all_is_no_drift(world, installer, wish):
    with pytest.raises(UnresolvedError) as caught:
        world.add("--installer", installer, wish)
    assert wish.partition("[")[0].partition("=")[0] in caught.value.message
    assert world.have == LOCK


def test_a_checkout_is_added_editable(world, installer, tmp_path):
    project = tmp_path / "my project"
    (project / "mine").mkdir(parents=True)
    (project / "mine" / "__init__.py").write_text("")
    (project / "backend.py").write_text(BACKEND)
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    world.add("--installer", installer, "-e", "my project")
    (extra,) = world.state.extras
    assert (extra.name, extra.version, extra.editable) == ("mine", "3", True)
    assert extra.origin == project.as_uri()
    assert extra.wish == str(project)
    code = "import mine; print(mine.__file__)"
    shown = subprocess.check_output([world.path / "bin" / "python", "-c", code], text=True)
    assert shown == f"{project}/mine/__init__.py\n"


def test_a_file_is_added_by_its_path(world, installer):
    wheel = world.house.path / "helper-0.2-py3-none-any.whl"
    world.add("--installer", installer, str(wheel))
    (extra,) = world.state.extras
    assert (extra.name, extra.origin, extra.wish) == ("helper", wheel.as_uri(), str(wheel))


def test_requirements_files_are_read(world, tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "req.txt").write_text("thing  # comment\n-r other.txt\n")
    digest = sha256(next(world.house.path.glob("needs_engine-*.whl")).read_bytes())
    (tmp_path / "more" / "other.txt").write_text(f"needs-engine==1.0 \\\n  --hash=sha256:{digest}\n")
    world.add("-r", "more/req.txt")
    assert world.extras == {"thing": "thing", "helper": None, "needs-engine": "needs-engine==1.0"}


def test_everything_else_stays_even_what_no_package_owns(world):
    (world.site / "mine.py").write_text("x = 1\n")
    (world.path / "notes").mkdir()
    (world.path / "notes" / "a.txt").write_text("note")
    inode = (world.site / "numpy" / "__init__.py").stat().st_ino
    world.add("thing")
    assert (world.site / "mine.py").read_text() == "x = 1\n"
    assert (world.path / "notes" / "a.txt").read_text() == "note"
    assert (world.site / "numpy" / "__init__.py").stat().st_ino == inode
    world.remove("thing")
    assert (world.site / "mine.py").exists()
    assert not (world.site / "thing").exists()
    assert not (world.path / "bin" / "thing").exists()


def test_a_failure_leaves_what_was_there(world, monkeypatch):
    before = link(world)

    def fail(*_):
        raise InstallerFailedError("uv", ("uv",), 1, ["no"])

    monkeypatch.setattr(changing, "run_installer", fail)
    with pytest.raises(InstallerFailedError):
        world.add("thing")
    assert (link(world), world.have, world.extras) == (before, LOCK, {})
    assert is_tidy(world.path)


def test_an_addition_is_taken_out_again(world):
    world.add("thing")
    altered = world.remove("thing")
    assert altered.changes == (Change("-", "thing", "1.0", None),)
    assert world.have == LOCK | {"helper": "0.2"}
    assert world.extras == {"helper": None}


def test_what_is_taken_out_from_under_another_is_said(world):
    world.add("thing")
    assert world.remove("helper").broken == ("thing 1.0 requires helper",)


def test_a_locked_package_is_not_taken_out(world):
    before = link(world)
    with pytest.raises(PipWouldDriftError) as caught:
        world.remove("torch")
    assert "engine 0.8 needs torch==2.6.0" in caught.value.message
    assert "--allow-drift torch" in caught.value.hint
    assert (link(world), world.have) == (before, LOCK)
    altered = world.remove("torch", allow_drift=True)
    assert [change.name for change in altered.moved] == ["torch"]
    assert world.state.drift == {"torch": None}
    assert read_pins(world.path) == {"engine": "0.8", "numpy": "1.26.4"}


def test_what_is_not_there_cannot_be_taken_out(world):
    with pytest.raises(NotInstalledError, match="nosuch is not installed"):
        world.remove("nosuch")


def test_an_environment_of_another_tool_is_left_alone(world, tmp_path):
    world.path = tmp_path / "theirs"
    with pytest.raises(NotMadeHereError, match="there is no environment at"):
        world.add("thing")
    subprocess.run(["python3", "-m", "venv", "--without-pip", world.path], check=True)
    with pytest.raises(NotMadeHereError, match="a virtual environment"):
        world.add("thing")
    with pytest.raises(NotMadeHereError):
        world.remove("thing")


def test_who_waits_is_told(world):
    from filelock import FileLock

    recorder = Recorder()
    lock = FileLock(world.path.with_name(".venv.d") / "lock")
    with lock, pytest.raises(EnvironmentLockedError, match="is being changed by"):
        world.add("thing", recorder=recorder, lock_seconds=0.1)
    assert "waiting for it" in recorder.notes[0]


def test_an_option_that_would_go_elsewhere_is_refused(world):
    with pytest.raises(UsageError, match="--target"):
        world.add("--target", "/tmp", "thing")


def test_one_change_after_the_other(world, installer):
    """No generation is made from the one before it, which goes."""
    interpreter = (world.path / "bin" / "python").resolve()
    for word in ("helper", "thing", "needs-engine"):
        world.add("--installer", installer, word)
        assert (world.path / "bin" / "python").resolve() == interpreter
        assert ".venv.d" not in (world.path / "pyvenv.cfg").read_text()
    world.remove("helper", "thing")
    assert world.have == LOCK | {"needs-engine": "1.0"}
