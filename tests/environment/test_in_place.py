"""Whether installers write into files that are there, and so into what an older generation shares.

The one place that says what they do is ``verl_env.environment.reuse``.
"""

import subprocess
import sys

import pytest

from verl_env.additions.replace import replace_packages
from verl_env.environment.change import change, changeable
from verl_env.environment.errors import FilesOverlapError
from verl_env.environment.reuse import link_files
from verl_env.uv_program import uv_program


@pytest.fixture
def overlapping(house):
    for name in ("one", "two"):
        files = {f"{name}/__init__.py": "def main(): pass\n", "shared/x.py": f"owner = {name!r}\n"}
        house.add(
            name, "1.0", files, scripts={"tool": f"#!python\nprint({name!r})\n"}, entry_points={"ep": f"{name}:main"}
        )
    return house


def contents(path):
    files = [*path.rglob("shared/x.py"), path / "bin" / "tool", path / "bin" / "ep"]
    return {file.name: file.read_bytes() for file in files}


@pytest.mark.parametrize(
    ("installer", "mode"), [("pip", ""), ("uv", "hardlink"), ("uv", "copy"), ("uv", "clone"), ("uv", "symlink")]
)
def test_this_installer_replaces_what_is_there(plain, overlapping, tmp_path, monkeypatch, installer, mode):
    monkeypatch.setenv("UV_LINK_MODE", mode or "hardlink")
    python = str(plain / "bin" / "python")
    argv = [uv_program(), "pip", "install", "--python", python]
    if installer == "pip":
        argv = [sys.executable, "-m", "pip", "--python", python, "install"]
    argv += ["-q", "--no-deps", "--no-index", "--find-links", str(overlapping.path)]
    subprocess.run([*argv, "one"], check=True)
    kept = tmp_path / "kept"
    subprocess.run(["cp", "-al", str(plain), str(kept)], check=True)
    before = contents(kept)
    subprocess.run([*argv, "two"], check=True)
    assert contents(plain) != before
    assert contents(kept) == before


def test_a_change_survives_one_that_would_write_into_them(plain, overlapping, monkeypatch):
    """uv 0.9 with ``--link-mode copy`` is such an installer: here one that writes into whatever has the name."""
    monkeypatch.setenv("UV_FIND_LINKS", str(overlapping.path))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "file:///nowhere")
    target = changeable(plain)
    with change(target, "test", waiting=print) as new:
        replace_packages(new, ["one"])
        new.commit()
    before = contents(plain)
    with change(target, "test", waiting=print) as new:
        monkeypatch.setattr("verl_env.additions.replace.run_installer", lambda *_: write_in_place(new.path))
        with pytest.raises(FilesOverlapError, match="files of one"):
            replace_packages(new, ["two"])
        assert (next(new.path.rglob("shared/x.py"))).read_text() == "owner = 'two'\n"
        assert contents(plain) == before


def write_in_place(path):
    site = next(path.glob("lib/python3*/site-packages"))
    for file, text in ((site / "shared" / "x.py", "owner = 'two'\n"), (path / "bin" / "tool", "#!two\n")):
        file.parent.mkdir(exist_ok=True)
        with file.open("w") as opened:
            opened.write(text)


def test_files_are_shared_and_scripts_are_not(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    for name, text in (("bin/tool", "#!/bin/sh\n"), ("bin/program", "\x7fELF"), ("lib/x.py", "x = 1\n")):
        (old / name).parent.mkdir(parents=True, exist_ok=True)
        (old / name).write_text(text)
    (old / "bin" / "tool").chmod(0o755)
    link_files(old, new, ["bin/tool", "bin/program", "lib/x.py"])
    shared = {name: (old / name).samefile(new / name) for name in ("bin/tool", "bin/program", "lib/x.py")}
    assert shared == {"bin/tool": False, "bin/program": True, "lib/x.py": True}
    assert (new / "bin" / "tool").stat().st_mode & 0o777 == 0o755
