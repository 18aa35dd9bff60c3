"""What goes wrong leaves what was in force in force, has an id, and does not keep a second run from succeeding."""

import errno
import os
import signal

import pytest

from tests.install.environments import STORE
from tests.install.plans import Recorder, check, lockset, native, options, plan, wheel
from tests.install.wheels import sdist_bytes, wheel_bytes, wheel_name
from tests.install.whole.test_run import have
from verl_env.environment import change as changing
from verl_env.environment.errors import DiskFullError, TargetPermissionError
from verl_env.environment.state import read_state
from verl_env.environment.target import open_target
from verl_env.errors import VerlEnvError
from verl_env.install import parts, transaction
from verl_env.install.run import install
from verl_env.installers import failures
from verl_env.locksets.model import Package
from verl_env.wheels.errors import NativeUnobtainableError

FILE = "demo-2.0-py3-none-any.whl"


class World:
    """A target with an environment in force, and an index that a new state comes from."""

    def __init__(self, tmp_path, index, house, path):
        self.tmp_path = tmp_path
        self.index = index
        self.house = house
        self.path = path
        self.new = house.add("demo", "2.0", {"demo.py": "x = 1\n" * 2000})

    def install(self, packages, *, installer="uv", lock=None, native=None, **changes):
        made = plan(packages, lock=lock, native=native)
        settings = options(self.tmp_path, installer=installer, **changes)
        return install(made, open_target(self.path), settings, Recorder())

    def fail(self, packages=None, **changes):
        """Tries to bring a new state in force, and makes sure that the old one stays in every respect."""
        before, link = have(self.path), os.readlink(self.path)  # noqa: PTH115
        with pytest.raises(VerlEnvError) as caught:
            self.install([self.new] if packages is None else packages, **changes)
        assert have(self.path) == before
        assert os.readlink(self.path) == link  # noqa: PTH115
        names = {path.name for path in self.path.with_name(".venv.d").iterdir()} - {"logs"}
        assert names == STORE | {self.path.resolve().name}
        assert caught.value.message
        return caught.value


@pytest.fixture
def world(tmp_path, index, house, target_path, monkeypatch):
    old = house.add("demo", "1.0")
    world = World(tmp_path, index, house, target_path)
    world.install([old], offline=True, wheelhouse=house.path)
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.simple)
    monkeypatch.setenv("PIP_INDEX_URL", index.simple)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_RESUME_RETRIES", "0")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "pip"))
    return world


@pytest.mark.parametrize("installer", ["uv", "pip"])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("gone", failures.IndexFileMissingError),
        ("cut", failures.DownloadInterruptedError),
        ("denied", failures.IndexDeniedError),
    ],
)
def test_an_index_that_misbehaves_and_a_second_run(world, installer, fault, error):
    world.index.faults[FILE] = fault
    assert isinstance(world.fail(installer=installer), error)
    world.index.faults.clear()
    assert world.install([world.new], installer=installer).done
    assert have(world.path)["demo"] == "2.0"


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_server_that_fails(world, installer):
    world.index.faults[FILE] = "broken"
    assert world.fail(installer=installer).id == "index-unreachable"


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_another_file_than_the_locked_one(world, installer):
    other = Package("demo", "2.0", ("sha256:" + "0" * 64,))
    error = world.fail([other], installer=installer)
    assert isinstance(error, failures.HashMismatchError)
    assert error.expected == "sha256:" + "0" * 64
    assert error.actual in world.new.hashes


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_release_that_the_index_does_not_have(world, installer):
    missing = Package("demo", "9.0", ("sha256:" + "0" * 64,))
    error = world.fail([missing], installer=installer)
    assert isinstance(error, failures.IndexFileMissingError)
    assert error.package == "demo==9.0"


def test_an_index_that_is_not_there(world, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:1/simple")
    assert world.fail().id == "index-unreachable"


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_source_distribution_that_does_not_build(world, installer):
    content = sdist_bytes("broken", "1.0", "raise SystemExit('no compiler')")
    broken = world.house.put("broken-1.0.tar.gz", content, "broken", "1.0", "sdist")
    error = world.fail([broken], installer=installer, offline=True, wheelhouse=world.house.path)
    assert isinstance(error, failures.BuildFailedError)
    assert error.package.startswith("broken")


def test_a_check_that_fails(world):
    lock = lockset(checks=(check("fine", "import demo"), check("broken", "import demo\nraise RuntimeError('no')")))
    error = world.fail(lock=lock)
    assert isinstance(error, failures.CheckFailedError)
    assert (error.check, error.reason) == ("broken", "RuntimeError: no")
    assert error.log.read_text().endswith("RuntimeError: no\n")


def test_an_installer_that_makes_something_else(world, monkeypatch):
    monkeypatch.setattr(parts.requirements, "write_locked", lambda file, *_, **__: file.write_text(""))
    error = world.fail()
    assert isinstance(error, failures.EnvironmentMismatchError)
    assert "demo is missing, not 2.0" in error.message


@pytest.mark.parametrize(
    ("module", "place", "number", "error"),
    [
        (parts, "run", errno.ENOSPC, DiskFullError),
        (parts, "build", errno.EDQUOT, DiskFullError),
        (transaction, "reuse", errno.EACCES, TargetPermissionError),
        (changing, "relocate", errno.EROFS, TargetPermissionError),
        (changing, "write_state", errno.ENOSPC, DiskFullError),
    ],
)
def test_a_file_system_that_refuses(world, monkeypatch, module, place, number, error):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number), "/somewhere")

    monkeypatch.setattr(module, place, refuse)
    assert isinstance(world.fail(), error)


def test_too_little_room_is_found_before_anything_is_asked_of_the_index(world):
    huge = Package("demo", "2.0", world.new.hashes, download_bytes=10**15, disk_bytes=10**16)
    error = world.fail([huge])
    assert isinstance(error, DiskFullError)
    assert (error.need, error.free is not None) == (10**16, True)
    assert world.index.asked == []


def test_a_defect_of_ours_leaves_the_old_environment_too(world, monkeypatch):
    monkeypatch.setattr(changing, "relocate", lambda *_, **__: 1 / 0)
    link = os.readlink(world.path)  # noqa: PTH115
    with pytest.raises(ZeroDivisionError):
        world.install([world.new])
    assert os.readlink(world.path) == link  # noqa: PTH115
    assert have(world.path)["demo"] == "1.0"


def test_an_interrupt_leaves_the_old_environment_and_nothing_else(world, monkeypatch):
    monkeypatch.setattr("verl_env.installers.process.PATIENCE", 0.3)
    world.index.faults[FILE] = "stall"

    def interrupt_the_download(*_):
        if f"/files/{FILE}" in world.index.asked:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt_the_download)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    try:
        with pytest.raises(KeyboardInterrupt):
            world.install([world.new])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    world.index.faults.clear()
    assert have(world.path)["demo"] == "1.0"
    names = {path.name for path in world.path.with_name(".venv.d").iterdir()}
    assert names == STORE | {"0001"}
    assert world.install([world.new]).done


class TestNatives:
    """Native components that are published as wheels."""

    WHEEL = "flash_attn-2.7.4+cu12torch2.6cxx11abiFALSE-py3-none-any.whl"

    @pytest.fixture
    def content(self, world):
        content = wheel_bytes("flash-attn", "2.7.4", {"flash_attn.py": "abi = False\n"})
        (world.house.path / self.WHEEL).write_bytes(content)
        return content

    def lock(self, world):
        url = world.index.url(self.WHEEL.replace("+", "%2B"))
        return lockset(natives=(native(wheels=[wheel(url)]),))

    @pytest.mark.parametrize("installer", ["uv", "pip"])
    def test_a_wheel_that_fits_is_installed_like_anything_else(self, world, content, installer):
        outcome = world.install([world.new], lock=self.lock(world), installer=installer)
        assert outcome.left_out == {}
        assert have(world.path)["flash_attn"] == "2.7.4"
        site = next(world.path.glob("lib/*/site-packages"))
        assert not (site / "flash_attn-2.7.4.dist-info" / "direct_url.json").exists()
        assert not world.install([world.new], lock=self.lock(world), installer=installer).done

    def test_one_that_cannot_be_fetched_is_left_out_and_recorded(self, world, content):
        world.index.faults[self.WHEEL] = "gone"
        outcome = world.install([world.new], lock=self.lock(world))
        assert "404" in outcome.left_out["flash-attn"]
        assert [change.name for change in outcome.changes] == ["demo"]
        assert "404" in read_state(world.path).left_out["flash-attn"]
        world.index.asked.clear()
        again = world.install([world.new], lock=self.lock(world))
        assert (again.done, again.left_out) == (False, outcome.left_out)
        assert world.index.asked == []

    def test_a_repair_does_not_try_it_again(self, world, content):
        world.index.faults[self.WHEEL] = "gone"
        world.install([world.new], lock=self.lock(world))
        (next(world.path.glob("lib/*/site-packages")) / "demo-2.0.dist-info" / "METADATA").unlink()
        world.index.asked.clear()
        outcome = world.install([world.new], lock=self.lock(world))
        assert outcome.done
        assert "404" in outcome.left_out["flash-attn"]
        assert not [path for path in world.index.asked if "flash" in path]

    def test_asked_for_it_must_be_had(self, world, content):
        world.index.faults[self.WHEEL] = "gone"
        error = world.fail(lock=self.lock(world), native="prebuilt")
        assert isinstance(error, NativeUnobtainableError)
        world.index.faults.clear()
        assert world.install([world.new], lock=self.lock(world), native="prebuilt").left_out == {}

    def test_once_left_out_it_can_be_asked_for(self, world, content):
        world.index.faults[self.WHEEL] = "gone"
        world.install([world.new], lock=self.lock(world))
        world.index.faults.clear()
        outcome = world.install([world.new], lock=self.lock(world), native="prebuilt")
        assert [(change.kind, change.name) for change in outcome.changes] == [("+", "flash-attn")]

    def test_something_that_is_no_wheel_is_left_out(self, world):
        (world.house.path / self.WHEEL).write_text("<html>please log in</html>")
        assert (
            "is no wheel: it is an HTML page"
            in world.install([world.new], lock=self.lock(world)).left_out["flash-attn"]
        )

    def test_it_is_carried_over(self, world, content):
        world.install([world.new], lock=self.lock(world))
        newest = world.house.add("demo", "3.0")
        world.index.asked.clear()
        outcome = world.install([newest], lock=self.lock(world))
        assert [change.name for change in outcome.changes] == ["demo"]
        assert not [path for path in world.index.asked if "flash" in path]
        assert have(world.path)["flash_attn"] == "2.7.4"

    def test_skipped_on_request_it_goes(self, world, content):
        world.install([world.new], lock=self.lock(world))
        made = plan([world.new], lock=self.lock(world), native="skip")
        outcome = install(made, open_target(world.path), options(world.tmp_path), Recorder())
        assert [(change.kind, change.name) for change in outcome.changes] == [("-", "flash-attn")]
        assert outcome.left_out == {"flash-attn": "on request (--native skip)"}
        assert read_state(world.path).left_out == outcome.left_out


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_source_distribution_is_built_with_what_the_lockset_says(world, installer):
    builder = wheel_bytes("setuptools", "79.0.1", {"setuptools/__init__.py": "", "setuptools/build_meta.py": BACKEND})
    (world.house.path / wheel_name("setuptools", "79.0.1")).write_bytes(builder)
    (world.house.path / wheel_name("setuptools", "99.0")).write_bytes(b"not even a wheel")
    content = sdist_bytes("built", "1.0", "")
    built = world.house.put("built-1.0.tar.gz", content, "built", "1.0", "sdist")
    lock = lockset(build_constraints=("setuptools==79.0.1",))
    world.install([built], lock=lock, installer=installer, offline=True, wheelhouse=world.house.path)
    assert have(world.path)["built"] == "1.0"


BACKEND = """
import zipfile


def get_requires_for_build_wheel(config_settings=None):
    return []


def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = "built-1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{directory}/{name}", "w") as archive:
        info = "built-1.0.dist-info"
        archive.writestr("built.py", "")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: built\\nVersion: 1.0\\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        archive.writestr(f"{info}/RECORD", f"built.py,,\\n{info}/METADATA,,\\n{info}/WHEEL,,\\n{info}/RECORD,,\\n")
    return name


class __legacy__:
    build_wheel = staticmethod(build_wheel)
    get_requires_for_build_wheel = staticmethod(get_requires_for_build_wheel)
"""
