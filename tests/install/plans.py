"""Plans for tests: a lockset in the form of real ones, with invented values, for the Python that runs the tests."""

import platform
import sys

from verl_env.choose.facts import facts_of
from verl_env.choose.model import Choice, Evaluation, Request
from verl_env.choose.resolver.model import Environment
from verl_env.choose.resolver.resolve import ResolutionProblem, resolve
from verl_env.components.model import Catalogue, Component, Release, Wheel
from verl_env.installers.options import Options
from verl_env.locksets.model import Lockset, Native, PythonLock, Requirements, SmokeTest, Variant
from verl_env.machine.model import Host, Machine
from verl_env.plans.plan import make_plan

PYTHON = "{}.{}".format(*sys.version_info)
MACHINE = Machine(host=Host(glibc="2.35", arch=platform.machine()))


def lockset(**changes):
    fields = {
        "id": "verl0.1-cu124/app.demo",
        "variant": Variant("docker/demo/Dockerfile", "0" * 40, "2025-01-01T00:00:00Z", "demo"),
        "family": "0.1",
        "verl": "0.1.0",
        "order": 1,
        "preview": False,
        "tier": "locked",
        "accelerator": "cuda",
        "cuda": "12.4",
        "rocm": None,
        "torch": "2.6.0",
        "provides": ("vllm", "megatron"),
        "engines": {"vllm": "0.8.0"},
        "requires": Requirements((platform.machine(),), None, None, ()),
        "pythons": (PythonLock(PYTHON, f"py{PYTHON}.txt", "0" * 64, 3, 5_000, 9_000, ()),),
        "env": {"DEMO_VARIABLE": "1"},
        "natives": (),
        "checks": (),
    }
    return Lockset(**(fields | changes))


class Published(Native):
    """A native component of a lockset, and the wheels that the catalogue has of it."""

    def __init__(self, wheels, *values):
        super().__init__(*values)
        object.__setattr__(self, "wheels", tuple(wheels))


def native(name="flash-attn", version="2.7.4", *, wheels=(), needed_for=()):
    return Published(wheels, name, version, tuple(needed_for), "no index serves it")


def wheel(url, *, sha256=None, glibc=None):
    """A published wheel, as the catalogue has it."""
    arch = next((arch for arch in ("x86_64", "aarch64") if url.endswith(f"{arch}.whl")), None)
    return Wheel(url, (PYTHON,), arch, None, None, None, None, (), glibc, sha256, "a test")


def published(lock):
    """The catalogue of the wheels of a lockset."""
    components = {
        each.name: Component(each.name, None, (Release(each.version, each.wheels, ()),)) for each in lock.natives
    }
    return Catalogue(components, (), (), ())


def check(id_="import-demo", code="import demo", needs=None):
    return SmokeTest(id_, code, needs)


def choice(lock=None, *, interpreter=sys.executable, warnings=(), stack="vllm", native=None, machine=MACHINE):
    """A choice with the ways that the wheels of a lockset leave to its native components."""
    lock = lock or lockset()
    request = Request(tuple(stack.split("+")), native=native)
    environment = Environment(lock, PYTHON, interpreter)
    problem = ResolutionProblem((environment,), facts_of(machine), request, (), lambda *_: {}, published(lock))
    builds = resolve(problem).builds
    return Choice(lock, PYTHON, interpreter, tuple(warnings), Evaluation(lock, ()), (), builds)


def plan(packages, *, lock=None, stack="vllm", machine=MACHINE, interpreter=sys.executable, native=None, **more):
    chosen = choice(lock, interpreter=interpreter, stack=stack, native=native, machine=machine)
    return make_plan(chosen, packages, Request(tuple(stack.split("+"))), machine, **more)


def options(tmp_path, **changes):
    return Options(**{"cache": tmp_path / "cache", "lock_seconds": 5.0, **changes})


class Recorder:
    """A reporter that keeps what it is told."""

    terminal = None

    def __init__(self):
        self.steps = []
        self.details = {}
        self.notes = []
        self.warnings = []
        self.bytes = []
        self.built = []

    def begin(self, step):
        self.steps.append(step.kind)

    def end(self, step, seconds, detail):
        self.details[step.kind] = detail

    def progress(self, name, done, total):
        self.bytes.append((name, done, total))

    def building(self, name, done, total, seconds):
        self.built.append((name, done, total))

    def note(self, message):
        self.notes.append(message)

    def warn(self, message):
        self.warnings.append(message)
