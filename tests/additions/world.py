"""One environment made of a small lock, and a wheelhouse with what can be added to it."""

from pathlib import Path

import pytest

from tests.install.plans import PYTHON, Recorder, lockset, options, plan
from tests.install.wheels import House
from verl_env.additions.arguments import parse_install
from verl_env.environment.installed import installed
from verl_env.environment.state import read_state
from verl_env.environment.target import open_target
from verl_env.install.alter.change import add, remove
from verl_env.install.run import install


class World:
    """A lock of numpy, torch and an engine whose requirement ``gone`` is left unmet, as images leave some.

    ``thing`` 1.0 goes with it, 2.0 needs a newer numpy and torch; ``deep`` needs a newer torch through ``mid``.
    """

    def __init__(self, place, tmp_path=None):
        self.tmp_path, self.path = tmp_path or place, place / "project" / ".venv"
        self.path.parent.mkdir(exist_ok=True)
        self.house = house = House(place / "wheelhouse")
        self.site = self.path / "lib" / f"python{PYTHON}" / "site-packages"
        self.numpy = house.add("numpy", "1.26.4")
        self.torch = house.add("torch", "2.6.0", requires=["numpy"])
        self.engine = house.add("engine", "0.8", requires=["torch==2.6.0", "gone>3", "numpy<2"])
        house.add("numpy", "2.1.0")
        house.add("torch", "2.7.0", requires=["numpy"])
        house.add("helper", "0.2")
        house.add("thing", "1.0", requires=["numpy<2", "helper"], scripts={"thing": "#!python\nprint('thing')\n"})
        house.add("thing", "2.0", requires=["numpy>=2", "torch>=2.7"])
        house.add("mid", "1.0", requires=["torch>=2.7"])
        house.add("deep", "1.0", requires=["mid"])
        house.add("needs-engine", "1.0", requires=["engine"])

    @property
    def lock(self):
        return [self.numpy, self.torch, self.engine]

    def plan(self, packages=None, *, extras=(), **more):
        from verl_env.records import replace

        return replace(plan(self.lock if packages is None else packages, **more), extras=tuple(extras))

    def install(self, packages=None, *, extras=(), lock=None, recorder=None, **changes):
        settings = {"offline": True, "wheelhouse": self.house.path, **changes}
        made = self.plan(packages, extras=extras, lock=lock or lockset())
        return install(made, open_target(self.path), options(self.tmp_path, **settings), recorder or Recorder())

    def add(self, *words, recorder=None, **changes):
        source = ["--no-index", "--find-links", str(self.house.path)]
        wishes = parse_install([*source, *words], Path(self.tmp_path))
        settings = options(self.tmp_path, **changes)
        return add(self.path, wishes, recorder or Recorder(), settings, lambda: pytest.fail("probed"))

    def remove(self, *names, allow_drift=False):
        return remove(self.path, names, Recorder(), allow_drift=allow_drift)

    @property
    def have(self):
        return {name: each.version for name, each in installed(self.site).items() if name != "verl-env-runtime"}

    @property
    def state(self):
        return read_state(self.path)

    @property
    def extras(self):
        return {extra.name: extra.wish for extra in self.state.extras}
