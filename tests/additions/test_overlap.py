"""What an added wheel may not bring: files of locked packages, of the runtime, of the environment itself."""

import itertools
import subprocess

import pytest

from tests.install.wheels import wheel_bytes
from tests.rounds import EITHER
from verl_env.environment.errors import FilesOverlapError
from verl_env.errors import VerlEnvError

_NUMBERS = itertools.count()


def _newcomer():
    """A name that no test has used: uv keeps what it has seen of a file by its path."""
    return f"newcomer{next(_NUMBERS)}"


def _bring(world, files, name):
    (world.house.path / f"{name}-1.0-py3-none-any.whl").write_bytes(wheel_bytes(name, "1.0", files))


def _answer(world):
    code = "import numpy, sys; print(numpy.version)"
    return subprocess.run(
        [world.path / "bin" / "python", "-c", code], capture_output=True, text=True, check=False
    ).stdout.strip()


@pytest.mark.parametrize(
    ("files", "owner"),
    [
        ({"numpy/__init__.py": "version = 'taken'\n"}, "numpy"),
        ({"numpy/__pycache__/__init__.cpython-311.pyc": b"taken"}, "numpy"),
        ({"numpy/__init__.cpython-311-x86_64-linux-gnu.so": b"taken"}, "numpy"),
        ({"numpy.py": "version = 'taken'\n"}, "numpy"),
        ({"NEWCOMER-1.0.data/purelib/numpy/__init__.py": "version = 'taken'\n"}, "numpy"),
        ({"verl_env_runtime/__init__.py": "taken = 1\n"}, "verl-env-runtime"),
        ({"_verl_env_boot.py": "taken = 1\n"}, "verl-env-runtime"),
        ({"NEWCOMER-1.0.data/data/pyvenv.cfg": "home = /nowhere\n"}, "the environment itself"),
        ({"NEWCOMER-1.0.data/data/verl-env.json": "{}\n"}, "the environment itself"),
        ({"NEWCOMER-1.0.data/scripts/activate": "#!python\nprint('taken')\n"}, "the environment itself"),
    ],
)
@pytest.mark.parametrize("installer", EITHER)
def test_refused_by_name(world, files, owner, installer):
    world.install()
    before, link = _answer(world), world.path.readlink()
    name = _newcomer()
    _bring(world, {path.replace("NEWCOMER", name): content for path, content in files.items()}, name)
    with pytest.raises(FilesOverlapError) as caught:
        world.add("--installer", installer, name)
    assert set(caught.value.found) == {(name, owner)}
    assert f"{name} has files of" in caught.value.message
    assert (_answer(world), world.path.readlink()) == (before, link)
    assert name not in world.have


def test_an_interpreter_as_a_script(world):
    """uv refuses the name of itself."""
    world.install()
    name = _newcomer()
    _bring(world, {f"{name}-1.0.data/scripts/python": "#!python\nprint('taken')\n"}, name)
    for installer, words in (("pip", f"{name} has files of the environment itself: bin/python"), ("uv", name)):
        with pytest.raises(VerlEnvError, match=words):
            world.add("--installer", installer, name)
        assert _answer(world) == "1.26.4"


def test_a_file_of_another_addition(world):
    world.install()
    one, two = _newcomer(), _newcomer()
    _bring(world, {"shared/a.py": "1\n", "one.py": ""}, one)
    _bring(world, {"shared/a.py": "2\n", "two.py": ""}, two)
    world.add(one)
    with pytest.raises(FilesOverlapError, match=f"files of {one}"):
        world.add(two)


def test_the_same_content_is_no_overlap(world):
    world.install()
    one, two = _newcomer(), _newcomer()
    _bring(world, {"shared/__init__.py": "", "one.py": ""}, one)
    _bring(world, {"shared/__init__.py": "", "two.py": ""}, two)
    world.add(one)
    world.add(two)
    world.remove(one)
    assert (world.site / "shared" / "__init__.py").is_file()


def test_licences_and_tests_at_the_top_stay_those_of_the_owner(world):
    world.install()
    one, two = _newcomer(), _newcomer()
    _bring(world, {"LICENSE": "one\n", "tests/__init__.py": "1\n", "one.py": ""}, one)
    _bring(world, {"LICENSE": "two\n", "tests/__init__.py": "2\n", "two.py": ""}, two)
    world.add(one)
    world.add(two)
    assert [(world.site / name).read_text() for name in ("LICENSE", "tests/__init__.py")] == ["one\n", "1\n"]


def test_a_newer_release_writes_its_own_files(world):
    world.install()
    world.add("thing==1.0")
    content = wheel_bytes(
        "thing", "1.1", {"thing/__init__.py": "version = '1.1'\n"}, scripts={"thing": "#!python\n2\n"}
    )
    (world.house.path / "thing-1.1-py3-none-any.whl").write_bytes(content)
    world.add("thing==1.1")
    assert world.have["thing"] == "1.1"


def test_what_plain_pip_broke_of_the_environment_itself_is_made_anew(world):
    world.install()
    for break_it in (
        (world.path / "pyvenv.cfg").unlink,
        lambda: (world.path / "pyvenv.cfg").write_text(""),
        lambda: ((world.path / "bin" / "python").unlink(), (world.path / "bin" / "python").write_text("#!python\n")),
    ):
        break_it()
        assert world.install().done
        assert _answer(world) == "1.26.4"


def test_an_addition_that_overlaps_under_another_lock_is_refused(world):
    world.install()
    name = _newcomer()
    _bring(world, {"later/__init__.py": "mine\n"}, name)
    world.add(name)
    later = world.house.add("later", "1.0")
    with pytest.raises(FilesOverlapError, match=f"{name} has files of later"):
        world.install([*world.lock, later], recorder=None)
    assert "later" not in world.have
