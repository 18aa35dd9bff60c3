"""A small world for faults: two locksets of tiny wheels, a machine, and the command line as a user starts it."""

import os
import random
import subprocess
import sys
from pathlib import Path

import verl_env
from tests.cli.test_install import PREFIXES, Bench

PROGRAM = [sys.executable, "-I", str(Path(verl_env.__file__).with_name("__main__.py"))]
ENV = {name: value for name, value in os.environ.items() if not name.startswith((*PREFIXES, "VERL_ENV"))}
A, B = "verl9.9-cu124/app.a", "verl9.9-cu124/app.b"
#: Seconds that no command may take longer.
LONGEST = 120.0


def seeded(name):
    """Random numbers that can be had again: the seed is printed where a test fails."""
    seed = int(os.environ.get("FAULT_SEED", str(random.randrange(1 << 30))))
    print(f"{name}: FAULT_SEED={seed}")
    return random.Random(seed)


def run(*words, env=None, check=True, **more):
    """Runs one command line of verl-env to its end."""
    done = subprocess.run(
        [*PROGRAM, *map(str, words)],
        env={**ENV, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=LONGEST,
        check=False,
        **more,
    )
    assert "Traceback" not in done.stderr or "error[check-failed]" in done.stderr, done.stderr
    if check:
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done


class World(Bench):
    """Two states of one environment, and what to add to it."""

    def __init__(self, root, into=None):
        super().__init__(root, capsys=None)
        self.into = into or self.into
        self.into.parent.mkdir(exist_ok=True, parents=True)
        same = [self._many(f"same{number}", "1.0") for number in range(3)]
        for lock, version, order in ((A, "1.0", 1), (B, "2.0", 2)):
            files = {"demo/__init__.py": f"version = {version!r}\n"} | _modules("demo", version)
            demo = self.house.add("demo", version, files, scripts={"demo-run": f"#!python\nprint({version!r})\n"})
            packages = [demo, self.verl, self._many("moved", version), self.house.add(f"only{version[0]}", "1"), *same]
            checks = [{"id": "demo", "code": "import demo.m1, same0.m2"}]
            self.lockset(lock, packages, order=order, checks=checks)
        self.house.add("helper", "0.2")
        self.house.add("thing", "1.0", requires=["helper"], scripts={"thing": "#!python\nprint('thing')\n"})
        cache = root / "cache"
        self.env = {
            "VERL_ENV_CONSTRAINTS": str(self.root),
            "VERL_ENV_CACHE_DIR": str(cache),
            "VERL_ENV_CONFIG": os.devnull,
            "UV_CACHE_DIR": str(cache / "uv"),
            "UV_NO_CONFIG": "1",
            "PIP_CONFIG_FILE": os.devnull,
        }

    def _many(self, name, version):
        return self.house.add(name, version, {f"{name}/__init__.py": f"v = {version!r}\n"} | _modules(name, version))

    def words(self, state, into=None, *flags):
        """The command line that installs a state."""
        lock = {"a": A, "b": B}[state]
        words = ["install", "--stack", "demo", "--lockset", lock, "--machine", self.machine]
        return [*words, "--into", into or self.into, "--offline", "--wheelhouse", self.house.path, "--yes", *flags]

    def install(self, state, into=None, **more):
        return run(*self.words(state, into), env=self.env, **more)

    def pip_words(self, *words, into=None):
        links = ["--find-links", str(self.house.path), "--no-index"] if words[0] == "install" else []
        return ["pip", "--into", into or self.into, *words, *links]

    def pip(self, *words, into=None, **more):
        return run(*self.pip_words(*words, into=into), env=self.env, **more)


def _modules(name, version):
    return {f"{name}/m{number}.py": f"x = {number}, {version!r}\n" for number in range(12)}
