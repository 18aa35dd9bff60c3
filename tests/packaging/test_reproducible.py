"""Two builds give the same bytes, wherever the sources lie and however old they are; the zipapp starts anywhere."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from verl_env.uv_program import uv_program

ROOT = Path(__file__).parents[2]
NEEDED = ("verl_env", "constraints", "docs", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")
spec = importlib.util.spec_from_file_location("zipapp_maker", ROOT / "packaging" / "zipapp.py")
maker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(maker)


def copy(to):
    ignore = shutil.ignore_patterns("__pycache__")
    for name in NEEDED:
        source = ROOT / name
        shutil.copytree(source, to / name, ignore=ignore) if source.is_dir() else shutil.copy(source, to / name)
    return to


def digests(directory):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(directory.glob("verl_env-*"))}


@pytest.mark.slow
def test_two_builds_of_sdist_and_wheel_are_equal(tmp_path):
    found = []
    for name, umask in (("here", 0o022), ("another directory", 0o077)):
        (tmp_path / name).mkdir()
        source = copy(tmp_path / name)
        if found:
            for path in source.rglob("*"):
                os.utime(path, (time.time() - 1e7,) * 2)
        before = os.umask(umask)
        try:
            out = tmp_path / f"{name}-out"
            subprocess.run([uv_program(), "build", "--quiet", "--out-dir", str(out), str(source)], check=True)
        finally:
            os.umask(before)
        found.append(digests(out))
    assert len(found[0]) == 2
    assert found[0] == found[1]


PROGRAM = {"verl_env/__init__.py": b"", "verl_env/cli/__init__.py": b"", "verl_env/cli/main.py": b"""
import sys
def run():
    print(sys.flags.isolated, sys.argv[1:], sys.prefix)
"""}  # fmt: skip


@pytest.fixture
def archive(tmp_path):
    """A zipapp of a program that says how it was started."""
    python = "{}.{}".format(*sys.version_info)
    path = tmp_path / "app.pyz"
    other = {**PROGRAM, "tomli.py": b""}
    maker.write(path, maker.shared({python: PROGRAM, "3.9": other}), (python, "3.9"))
    return path


def start(archive, *words, **env):
    done = subprocess.run([sys.executable, archive, *words], env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_the_same_files_give_the_same_archive(archive, tmp_path):
    again = tmp_path / "again.pyz"
    python = "{}.{}".format(*sys.version_info)
    found = {python: dict(reversed(PROGRAM.items())), "3.9": {"tomli.py": b"", **PROGRAM}}
    maker.write(again, maker.shared(found), (python, "3.9"))
    assert archive.read_bytes() == again.read_bytes()


def test_it_starts_isolated_and_unpacks_once(archive, tmp_path):
    home = tmp_path / "a home"
    home.mkdir()
    code, said, err = start(archive, "a b", "--c", HOME=str(home))
    assert (code, err) == (0, "")
    assert said.startswith(f"1 ['a b', '--c'] {home}/.cache/verl-env/app/")
    (made,) = (home / ".cache" / "verl-env" / "app").iterdir()
    assert not list(made.rglob("tomli*"))
    before = made.stat().st_mtime_ns
    assert start(archive, HOME=str(home))[0] == 0
    assert made.stat().st_mtime_ns == before


@pytest.mark.parametrize("home", ["", "/nowhere", "relative"])
def test_without_a_home_it_unpacks_to_a_private_directory(archive, tmp_path, home):
    code, said, _ = start(archive, HOME=home, TMPDIR=str(tmp_path))
    assert code == 0
    assert str(tmp_path / f"verl-env-{os.getuid()}") in said
    assert (tmp_path / f"verl-env-{os.getuid()}").stat().st_mode & 0o77 == 0


def test_what_others_may_write_is_not_used(archive, tmp_path):
    (tmp_path / "x").mkdir()
    assert start(archive, XDG_CACHE_HOME=str(tmp_path / "x"), TMPDIR=str(tmp_path / "none"))[0] == 0
    app = tmp_path / "x" / "verl-env" / "app"
    app.chmod(0o777)
    for place in (tmp_path / "y", tmp_path):
        place.mkdir(exist_ok=True)
    code, said, _ = start(archive, XDG_CACHE_HOME=str(tmp_path / "x"), TMPDIR=str(tmp_path / "y"))
    assert code == 0
    assert str(tmp_path / "y") in said


def test_another_python_is_told(archive, tmp_path):
    maker.write(archive, maker.shared({"3.9": PROGRAM}), ("3.9",))
    code, _, err = start(archive, HOME=str(tmp_path))
    assert code == 2
    assert "error[zipapp]" in err
    assert "for Python 3.9" in err
