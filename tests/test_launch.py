"""``bin/verl-env`` and ``python -m verl_env`` are not broken by what surrounds them, and use none of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LAUNCH = Path(__file__).parents[1] / "verl_env" / "launch.sh"
#: An interpreter that imports one of these says so, and would fail.
MARK = "raise SystemExit('code of the surroundings ran')\n"
STARTS = ("script", "module")


@pytest.fixture
def script(tmp_path):
    """As installers put it: a copy beside the Python, in an environment of its own."""
    bin_directory = tmp_path / "tool" / "bin"
    bin_directory.mkdir(parents=True)
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    site = tmp_path / "tool" / "lib" / name / "site-packages"
    (site / "verl_env-0.dist-info").mkdir(parents=True)
    # Not a venv: the interpreter of this one, by a script that lets -I through.
    python = bin_directory / name
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    shutil.copy(LAUNCH, bin_directory / "verl-env")
    (bin_directory / "verl-env").chmod(0o755)
    return bin_directory / "verl-env"


@pytest.fixture
def hostile(tmp_path):
    """A directory of modules that shadow what verl-env imports."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in ("sitecustomize", "usercustomize", "argparse", "filelock", "json", "verl_env", "packaging"):
        (folder / f"{name}.py").write_text(MARK)
    (folder / "rich").mkdir()
    (folder / "rich" / "__init__.py").write_text(MARK)
    (folder / "startup.py").write_text(MARK)
    return folder


def surroundings(hostile):
    home = hostile.parent / "home"
    site = home / ".local" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    site.parent.mkdir(parents=True)
    shutil.copytree(hostile, site)
    (site / "bad.pth").write_text("import nothing_of_that_name\n")
    return {
        "path": {"PYTHONPATH": str(hostile)},
        "relative path": {"PYTHONPATH": "."},
        "home": {"PYTHONHOME": str(hostile)},
        "startup": {"PYTHONSTARTUP": str(hostile / "startup.py"), "PYTHONINSPECT": "1"},
        "user site": {"HOME": str(home), "PYTHONUSERBASE": str(home / ".local")},
        "warnings": {"PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"},
        "odd": {"PYTHONHASHSEED": "no number", "PYTHONMALLOC": "nonsense", "PYTHONIOENCODING": "no-such-codec"},
    }


@pytest.mark.parametrize("kind", ["path", "relative path", "home", "startup", "user site", "warnings", "odd"])
def test_surroundings_neither_break_it_nor_run(script, hostile, kind):
    env = {**os.environ, **surroundings(hostile)[kind]}
    done = subprocess.run(
        [script, "plan", "--stack", "vllm", "--gpu", "h100", "--driver", "570.0", "--python", "3.12"],
        env=env,
        cwd=hostile,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "vllm" in done.stdout


@pytest.mark.parametrize("kind", ["path", "relative path", "user site", "startup"])
def test_the_module_runs_isolated_too(hostile, kind, tmp_path):
    (hostile / "verl_env.py").unlink()
    env = {**os.environ, **surroundings(hostile)[kind]}
    for name in ("sitecustomize", "usercustomize"):  # run before any code of ours can be
        for file in tmp_path.rglob(f"{name}.py"):
            file.unlink()
    argv = [sys.executable, "-m", "verl_env", "facts", "--help"]
    cwd = tmp_path if kind == "relative path" else hostile
    done = subprocess.run(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_link_in_another_directory_finds_its_python(script, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "verl-env").symlink_to(script)
    for argv, env in (
        ([tmp_path / "bin" / "verl-env", "--version"], os.environ),
        (["verl-env", "--version"], {**os.environ, "PATH": f"{tmp_path}/bin:/usr/bin:/bin"}),
    ):
        assert subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout.startswith("verl-env ")


def test_packages_of_a_user_are_found_though_nothing_else_of_the_user_is(script, tmp_path):
    """``pip install --user``: the script lies in ~/.local/bin, where no Python is."""
    local = tmp_path / "home" / ".local"
    shutil.copytree(tmp_path / "tool", local)
    python = local / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    (tmp_path / "path").mkdir()
    python.rename(tmp_path / "path" / python.name)
    site = next(local.glob("lib/python*/site-packages"))
    (site / "rich.py").write_text("FROM_THE_USER = True\n")
    code = 'import rich, sys; print(rich.__file__); sys.argv = ["verl-env", "--version"]; '
    text = (local / "bin" / "verl-env").read_text().replace("run='", f"run='{code}")
    (local / "bin" / "verl-env").write_text(text)
    env = {**os.environ, "PATH": f"{tmp_path}/path:/usr/bin:/bin"}
    done = subprocess.run([local / "bin" / "verl-env"], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[0] == str(site / "rich.py"), done.stderr


def test_arguments_arrive_as_they_are(script):
    words = ["a b", "$(touch x)", "'", '"', "-c", "é\n"]
    done = subprocess.run([script, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is no command 'a b'" in done.stderr


def test_the_wheel_has_the_script():
    import io
    from zipfile import ZipFile

    from verl_env.bundle.own_wheel import wheel

    with ZipFile(io.BytesIO(wheel())) as archive:
        scripts = [name for name in archive.namelist() if name.endswith(".data/scripts/verl-env")]
        assert [archive.read(name) for name in scripts] == [LAUNCH.read_bytes()]
        assert archive.getinfo(scripts[0]).external_attr >> 16 & 0o111 == 0o111


def test_it_is_executable_where_hatchling_takes_it_from():
    assert os.access(LAUNCH, os.X_OK)
