"""A process that runs in an environment is not mixed: it imports what was in force when it started, whatever follows.

Real interpreters, real installs: each switches the generation under a process that has imported one half of a package.
"""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from verl_env.additions.replace import replace_packages
from verl_env.environment import change as changing
from verl_env.environment.binding import FILES, is_bound
from verl_env.environment.change import change, changeable, forget_previous
from verl_env.environment.files import remove_trees
from verl_env.environment.rollback import rollback
from verl_env.environment.running import in_use, on_network, processes_in

JOB = """\
import sys
import demo
print(demo.version, flush=True)
for line in sys.stdin:
    exec(line)
    print(flush=True)
"""

#: What a job starts by itself: another interpreter, a worker of a pool, a fork.
CHILD = """
import subprocess
code = "import demo; print(demo.version, end='')"
print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout, end="")
"""
SPAWNED = """
import concurrent.futures, multiprocessing
with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
    print(pool.submit(eval, "__import__('demo.late').version").result(), end="")
"""
FORKED = """
import os
read, write = os.pipe()
if not os.fork():
    import demo.last
    os.write(write, demo.last.version.encode())
    os._exit(0)
print(os.read(read, 9).decode(), end="")
"""


class Job:
    """A process of an environment that does what it is told, line by line."""

    def __init__(self, *argv, **more):
        self.process = subprocess.Popen(
            [*argv, "-u", "-c", JOB], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **more
        )
        self.version = self.process.stdout.readline().strip()

    def do(self, line):
        self.process.stdin.write(f"{line}; print(end='')\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def imports(self, module):
        return self.do(f"from {module} import version; print(version, end='')")

    def end(self):
        self.process.communicate()
        assert self.process.returncode == 0


@pytest.fixture
def switching(world, monkeypatch):
    """An environment of verl-env's own with ``demo`` 1.0, and what puts another version of it in force."""
    for number in ("1.0", "2.0", "3.0"):
        files = {f"demo/{name}.py": f"version = {number!r}\n" for name in ("__init__", "late", "later", "last")}
        files["demo/below/__init__.py"] = ""
        files["demo/below/deep.py"] = f"version = {number!r}\n"
        world.house.add("demo", number, files, scripts={"demo-run": "#!python\nimport demo; print(demo.version)\n"})
    monkeypatch.setenv("UV_FIND_LINKS", str(world.house.path))
    monkeypatch.setenv("UV_OFFLINE", "1")
    target = changeable(world.path)

    def switch(number):
        told = []
        with change(target, f"demo {number}", waiting=told.append) as new:
            replace_packages(new, [f"demo=={number}"])
            new.commit()
        return told

    switch("1.0")
    return target, switch


@pytest.fixture
def start():
    """Starts jobs, and ends them."""
    jobs = []

    def start(*argv, **more):
        jobs.append(Job(*map(str, argv), **more))
        return jobs[-1]

    yield start
    for job in jobs:
        job.process.kill()
        with job.process:
            pass


@pytest.fixture
def job(switching, start):
    return start(switching[0].path / "bin" / "python")


def fresh(target, code="import demo, demo.late; print(demo.version, demo.late.version)"):
    return subprocess.run(
        [target.path / "bin" / "python", "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_what_is_imported_after_a_switch_is_of_the_state_before(switching, job):
    target, switch = switching
    assert job.version == "1.0"
    told = switch("2.0")
    assert job.imports("demo.late") == "1.0"
    assert fresh(target) == "2.0 2.0\n"
    assert any(f"{job.process.pid} python -u -c" in line for line in told), told


def test_two_switches_and_a_rollback(switching, job):
    target, switch = switching
    first = target.generation
    switch("2.0")
    switch("3.0")
    assert job.imports("demo.late") == "1.0"
    rollback(target, waiting=print)
    assert fresh(target) == "2.0 2.0\n"
    assert job.imports("demo.below.deep") == "1.0"
    assert (target.store / first).is_dir()
    job.end()
    switch("3.0")
    assert not (target.store / first).exists()


def test_what_a_process_starts_is_of_its_state(switching, job):
    switching[1]("2.0")
    assert job.do(f"exec({CHILD!r})") == "1.0"
    assert job.do(f"exec({SPAWNED!r})") == "1.0"
    assert job.do(f"exec({FORKED!r})") == "1.0"


def test_an_isolated_one_and_one_through_another_link(switching, start, tmp_path):
    target, switch = switching
    other = tmp_path / "elsewhere"
    other.symlink_to(target.path)
    python = str(target.path / "bin" / "python")
    starts = [(python, "-I"), (str(other / "bin" / "python"),), (os.path.relpath(python, tmp_path),)]
    jobs = [start(*argv, cwd=tmp_path) for argv in starts]
    active = os.environ | {"PATH": f"{target.path}/bin:{os.environ['PATH']}", "VIRTUAL_ENV": str(target.path)}
    jobs.append(start("python", env=active))
    switch("2.0")
    switch("3.0")
    assert [job.imports("demo.late") for job in jobs] == ["1.0"] * 4
    assert {each.pid for each in processes_in(target)} == {job.process.pid for job in jobs}
    for job in jobs:
        job.end()
    assert processes_in(target) == ()


def test_what_asks_an_isolated_interpreter_is_told_the_link(switching):
    """uv keeps the answer for longer than a generation is in force."""
    target, _ = switching
    argv = [target.path / "bin" / "python", "-I", "-c", "import sys; print(sys.prefix, sys.executable)"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    assert said == [str(target.path), f"{target.path}/bin/python"]


def test_paths_of_other_start_up_files_are_bound_too(switching, start):
    target, switch = switching
    site = next(target.path.glob("lib/python3*/site-packages"))
    for name in ("aa", "zoo"):
        (site / f"{name}-more").mkdir()
        (site / f"{name}-more" / f"of_{name}.py").write_text("version = 'old'\n")
        (site / f"{name}.pth").write_text(f"{name}-more\n")
    (site / "early").mkdir()
    (site / "early" / "__init__.py").write_text("")
    (site / "early" / "late.py").write_text("version = 'old'\n")
    (site / "ab.pth").write_text("import early\n")
    job = start(target.path / "bin" / "python")
    switch("2.0")
    site = next(target.path.glob("lib/python3*/site-packages"))
    for file in site.glob("*/*.py"):
        if "old" in file.read_text():
            file.unlink()
            file.write_text("version = 'new'\n")
    assert [job.imports(name) for name in ("of_aa", "of_zoo", "early.late")] == ["old"] * 3
    assert job.do("import site; print(site.getsitepackages()[0].split('/')[-4] != '.venv', end='')") == "True"
    job.end()


def test_scripts_that_a_bound_pip_wrote_name_the_environment_after_the_next_change(switching):
    target, switch = switching
    script = target.path / "bin" / "mine"
    written = fresh(target, "import sys; print('#!' + sys.executable)")
    assert written.strip() == f"#!{target.current()}/bin/python"
    script.write_text(written)
    script.chmod(0o755)
    switch("2.0")
    assert (target.path / "bin" / "mine").read_text() == f"#!{target.path}/bin/python\n"


def test_room_is_not_made_at_the_cost_of_a_job(switching, job):
    target, switch = switching
    switch("2.0")
    assert not forget_previous(target)
    job.end()
    assert forget_previous(target)


def test_a_process_that_closed_everything_is_found_by_its_command(switching, job):
    target, _ = switching
    job.do("import os; os.closerange(3, 99)")
    (found,) = processes_in(target)
    assert (found.pid, found.generation) == (job.process.pid, None)


def test_a_changed_binding_is_noticed(switching):
    target, _ = switching
    site = next(target.path.glob("lib/python3*/site-packages"))
    assert is_bound(site)
    (site / FILES[0]).write_text("raise SystemExit('no')\n")
    assert not is_bound(site)


def test_an_environment_of_another_tool_says_who_runs_in_it(plain, house, monkeypatch):
    monkeypatch.setenv("UV_FIND_LINKS", str(house.path))
    monkeypatch.setenv("UV_OFFLINE", "1")
    house.add("thing", "1.0")
    target = changeable(plain)
    sleeper = subprocess.Popen([plain / "bin" / "python", "-c", "import time; time.sleep(60)"])
    try:
        wait_for(lambda: processes_in(target))
        told = []
        with change(target, "a test", waiting=told.append) as new:
            replace_packages(new, ["thing"])
            new.commit()
        assert not list(plain.rglob(FILES[0]))
        assert [re.sub(r"\d+", "N", line.partition(":")[0]) for line in told] == [
            f"running in {re.sub(r'[0-9]+', 'N', str(plain))} and bound to no generation"
        ]
    finally:
        sleeper.kill()
        sleeper.wait()


def wait_for(found, seconds=10):
    ends = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_on_a_network_file_system_what_was_replaced_lately_stays(switching, monkeypatch):
    target, switch = switching
    first = target.generation
    switch("2.0")
    monkeypatch.setattr("verl_env.environment.running.on_network", lambda _: True)
    assert first in in_use(target)
    switch("3.0")
    assert (target.store / first).is_dir()
    monkeypatch.undo()
    changing.clear(target)
    assert not (target.store / first).exists()


def test_which_file_systems_other_hosts_see(tmp_path):
    device = tmp_path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    seen_of = {
        "nfs4": True,
        "lustre": True,
        "fuse.sshfs": True,
        "ext4": False,
        "overlay": False,
        "fuse.squashfuse_ll": False,
    }
    for kind, seen in seen_of.items():
        mounts = tmp_path / "mountinfo"
        mounts.write_text(f"1 1 0:1 / / rw - tmpfs x rw\n36 35 {number} /a /b rw,x shared:1 - {kind} y rw\n")
        assert on_network(tmp_path, mounts=str(mounts)) is seen
    assert not on_network(tmp_path, mounts=str(tmp_path / "none"))


def test_a_process_without_its_generation_fails_rather_than_mixes(switching, job):
    target, switch = switching
    first = target.current()
    switch("2.0")
    remove_trees([first])
    said = job.do("exec('try:\\n import demo.late\\nexcept ImportError as e: print(type(e).__name__, end=\"\")')")
    assert said == "ModuleNotFoundError"


def test_the_hook_is_bound_in_every_python_that_is_there(switching, tmp_path):
    """The files are of a generation, whichever Python it has; each that this host has binds."""
    target, _ = switching
    source = next(target.path.glob(f"lib/python3*/site-packages/{FILES[0]}")).read_text()
    for home in sorted((str(Path("~/.pyenv/versions").expanduser()), "/usr")):
        for python in sorted(Path(home).glob("*/bin/python3.*[0-9]")):
            version = python.name.removeprefix("python")
            if tuple(map(int, version.split("."))) < (3, 9):
                continue
            store = tmp_path / f"v{version}.d"
            store.mkdir(exist_ok=True)
            subprocess.run([str(python), "-m", "venv", "--without-pip", str(store / "0001")], check=True)
            site = store / "0001" / "lib" / f"python{version}" / "site-packages"
            (site / FILES[0]).write_text(source)
            (site / FILES[1]).write_text("import _verl_env_generation\n")
            link = tmp_path / f"v{version}"
            link.symlink_to(f"{store.name}/0001")
            code = "import sys; print(sys.prefix, sys.executable, *sys.path)"
            said = subprocess.run([link / "bin" / "python", "-c", code], capture_output=True, text=True, check=True)
            assert said.stderr == ""
            prefix, executable, *paths = said.stdout.split()
            assert (prefix, executable) == (f"{store}/0001", f"{store}/0001/bin/python")
            assert str(site) in paths
            assert not [path for path in paths if path.startswith(f"{link}/")]
