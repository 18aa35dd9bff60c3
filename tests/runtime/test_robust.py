"""Many interpreters while the runtime is being taken away, replaced and broken: none of them fails for it."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from . import fakes
from .test_hook import BREAKAGES

pytestmark = pytest.mark.slow

CODE = "import vllm.model_executor.layers.fused_moe.layer as moe; print(moe.__name__)"
EXPECTED = "vllm.model_executor.layers.fused_moe.layer\n"


def unreadable(site):
    for path in [site / "_verl_env_boot.py", *(site / "verl_env_runtime").rglob("*.py")]:
        path.chmod(0)


def half_removed(site):
    names = sorted((site / "verl_env_runtime").glob("*.py"))
    for path in names[::2]:
        path.unlink()


def no_boot(site):
    (site / "_verl_env_boot.py").unlink()


WAYS = {**BREAKAGES, "unreadable": unreadable, "half removed": half_removed, "boot gone": no_boot}


def as_nobody():
    """The superuser reads what nobody may."""
    if os.geteuid() == 0:
        os.setuid(65534)


def start(environment):
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VERL_ENV"))}
    return subprocess.run(
        [environment.python, "-B", "-c", CODE],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=as_nobody,
        cwd="/",
    )


def restore(environment):
    for name in ("verl_env_runtime", "_verl_env_boot.py", "__pycache__"):
        path = environment.site / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for name in ("verl_env_runtime", "_verl_env_boot.py"):
        source = fakes.SOURCE / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, environment.site / name)


@pytest.fixture
def environment():
    """For the superuser, one that nobody can run: of the system's Python, outside of pytest's folders."""
    system = Path("/usr/bin/python3")
    base = str(system) if os.geteuid() == 0 and system.exists() else sys.executable
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        try:
            made = fakes.Environment(Path(folder) / "env", base).install()
            fakes.write_vllm(made.site)
            start(made)
        except (PermissionError, subprocess.CalledProcessError):
            pytest.skip("there is no Python that another user may run")
        yield made


def run_all(environment, count):
    """Breaks the runtime in one way after another while interpreters start; those that failed."""
    stop = threading.Event()

    def break_and_mend():
        for way in itertools.cycle(WAYS):
            if stop.is_set():
                return
            WAYS[way](environment.site)
            stop.wait(0.05)
            restore(environment)

    breaker = threading.Thread(target=break_and_mend)
    breaker.start()
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda _: start(environment), range(count))
        failed = [one for one in done if (one.returncode, one.stdout) != (0, EXPECTED)]
    stop.set()
    breaker.join()
    return failed


@pytest.mark.parametrize("way", WAYS)
def test_one_start_for_each_way(environment, way):
    WAYS[way](environment.site)
    done = start(environment)
    assert (done.returncode, done.stdout) == (0, EXPECTED), done.stderr


def test_starts_while_it_changes(environment):
    assert run_all(environment, 60) == []


@pytest.mark.e2e
def test_ten_thousand_starts(environment):
    assert run_all(environment, 10_000) == []
