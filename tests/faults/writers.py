"""Every command that changes something: how to come before it, its words, and what may be found when it was ended."""

import hashlib
import json
import shutil
import subprocess
import sys
import time

from tests.catalogue.test_catalogue import Site
from tests.faults.worlds import ENV, LONGEST, PROGRAM, run
from tests.install.environments import is_tidy
from tests.install.server import Index
from tests.install.whole.test_kill import snapshot

#: verl-env without the wheels of its own that a bundle carries, which no index of the tests has.
ALONE = (
    "from verl_env.bundle import outline; outline.tool_wanted = lambda *_: (); from verl_env.cli.main import run; run()"
)


class Writer:
    """One command: ``before`` brings about what it starts from, ``look`` what there is, ``tidy`` says what is left."""

    program = PROGRAM

    def __init__(self, world, root, monkeypatch=None):
        del monkeypatch
        self.world, self.root = world, root
        self.into = world.into
        self.env = {**ENV, **world.env, "XDG_STATE_HOME": str(root / "state"), "XDG_DATA_HOME": str(root / "data")}

    def start(self, **more):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        argv = [*self.program, *map(str, self.words)]
        return subprocess.Popen(argv, env=self.env, text=True, errors="replace", **pipes, **more)

    def finish(self):
        """Runs it to its end; the seconds that it took."""
        started = time.monotonic()
        process = self.start()
        _, err = process.communicate(timeout=LONGEST)
        assert process.returncode == 0, err
        return time.monotonic() - started

    def look(self):
        return snapshot(self.into)

    def tidy(self):
        return is_tidy(self.into)


class Patches(Writer):
    def before(self):
        run("patches", "apply", "--into", self.into, env=self.env)

    @property
    def words(self):
        return ["patches", "remove", "--into", self.into]


class Applied(Patches):
    def before(self):
        run("patches", "remove", "--into", self.into, env=self.env, check=False)

    @property
    def words(self):
        return ["patches", "apply", "--into", self.into]


class Fix(Writer):
    """A module of the lock is gone; the lockset has it back."""

    def before(self):
        self.world.install("a")
        lost = next(self.into.glob("lib/python3*/site-packages/same0/m3.py"))
        lost.unlink()
        self.env |= {"UV_FIND_LINKS": str(self.world.house.path), "UV_OFFLINE": "1", "UV_NO_INDEX": "1"}

    @property
    def words(self):
        return [
            "doctor",
            "--fix",
            "--yes",
            "--into",
            self.into,
            "--only",
            "files-damaged",
            "--machine",
            self.world.machine,
        ]


class Rollback(Writer):
    def before(self):
        self.world.install("a")
        self.world.install("b")

    words = property(lambda self: ["rollback", "--into", self.into])


class Remove(Writer):
    """What is removed goes link first: then there is no environment, and the next run goes on."""

    def before(self):
        self.world.install("a")

    words = property(lambda self: ["remove", self.into, "--yes"])

    def tidy(self):
        return True

    def finish(self):
        store = self.into.with_name(".venv.d")
        if not store.exists() and not self.into.is_symlink():
            return 0.0
        seconds = super().finish()
        assert not store.exists()
        return seconds


class Pack(Writer):
    def before(self):
        if not self.into.exists():
            self.world.install("a")
        shutil.rmtree(self.root / "packs", ignore_errors=True)
        (self.root / "packs").mkdir()

    words = property(lambda self: ["pack", self.into, "--no-bytecode", "-o", self.root / "packs" / "p.tar.zst"])

    def look(self):
        """None, or what the pack holds: that of two runs is the same, its time is not."""
        file = self.root / "packs" / "p.tar.zst"
        if not file.exists():
            return None
        listed = subprocess.run(["tar", "--zstd", "-tf", file], capture_output=True, text=True, check=True).stdout
        return sorted(line for line in listed.splitlines() if not line.endswith(".pyc"))

    def tidy(self):
        return {path.name for path in (self.root / "packs").iterdir()} <= {"p.tar.zst"}


class Unpack(Pack):
    def before(self):
        super().before()
        Pack.finish(_Packing(self.world, self.root))

    words = property(lambda self: ["unpack", self.root / "packs" / "p.tar.zst", self.root / "packs" / "there"])

    def look(self):
        return snapshot(self.root / "packs" / "there")

    def tidy(self):
        return {path.name for path in (self.root / "packs").iterdir()} <= {"p.tar.zst", "there"}


class _Packing(Pack):
    pass


class Bundle(Writer):
    """What an interrupted one leaves is its own directory without a manifest, which the next run goes on with."""

    program = (sys.executable, "-I", "-c", ALONE)

    def __init__(self, world, root, monkeypatch=None):
        super().__init__(world, root, monkeypatch)
        self.index = Index(world.house.path)
        self.env |= {"UV_DEFAULT_INDEX": self.index.simple}

    def before(self):
        shutil.rmtree(self.root / "bundle", ignore_errors=True)

    @property
    def words(self):
        lock = ["--lockset", "verl9.9-cu124/app.a", "--machine", self.world.machine]
        return ["bundle", "--stack", "demo", *lock, "-o", self.root / "bundle"]

    def look(self):
        root = self.root / "bundle"
        if not (root / "manifest.json").exists():
            return None
        files = [path for path in root.rglob("*") if path.is_file() and not path.name.endswith(".part")]
        return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}

    def tidy(self):
        return not list(self.root.glob(".bundle*"))


class Catalogue(Writer):
    def __init__(self, world, root, monkeypatch):
        super().__init__(world, root)
        (root / "site").mkdir()
        site = Site(root / "site", monkeypatch)
        monkeypatch.setenv("XDG_DATA_HOME", str(root / "data"))
        site.publish()
        self.env |= {"VERL_ENV_CONFIG": str(site.config)}
        self.env.pop("VERL_ENV_CONSTRAINTS")

    def before(self):
        shutil.rmtree(self.root / "data", ignore_errors=True)

    words = ("catalogue", "update")

    def look(self):
        link = next((path for path in self._folder().glob("*") if path.is_symlink()), None)
        return None if link is None else json.loads((link / "components.json").read_text())

    def tidy(self):
        return len([path for path in self._folder().glob("*.fetched*") if not path.is_symlink()]) <= 1

    def _folder(self):
        return self.root / "data" / "verl-env" / "catalogue"


WRITERS = (Patches, Applied, Fix, Rollback, Remove, Pack, Unpack, Bundle, Catalogue)
