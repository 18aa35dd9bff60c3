"""Jobs, hosts and locks with invented values."""

from verl_env.builds.model import BuildHost, Job, Lock
from verl_env.choose.model import Build
from verl_env.components.model import AbiRule, CapabilityRange, Catalogue, CompilerLimit, Recipe
from verl_env.machine.model import Toolchain
from verl_env.records import replace

CATALOGUE = Catalogue(
    {},
    (CompilerLimit("12.4", "14", "a table"),),
    (CapabilityRange("9.0", "11.8", None, "a table"), CapabilityRange("10.3", "12.9", None, "a table")),
    (AbiRule("2.6", None, False, "a table"),),
)
TOOLS = Toolchain(nvcc="12.4.131", gcc="11.4.0", gxx="11.4.0", cuda_home=None, hipcc=None, cmake="3.22", ninja="1.10")


def host(*, environ=None, toolchain=TOOLS, **changes):
    fields = {
        "toolchain": toolchain,
        "cpus": 16,
        "memory": 64 << 30,
        "glibc": "2.35",
        "targets": ("9.0",),
        "environ": {"PATH": "/nowhere", **(environ or {})},
    }
    return BuildHost(**(fields | changes))


def lock(**changes):
    fields = {
        "torch": "2.6.0",
        "cuda": "12.4",
        "rocm": None,
        "python": "3.10",
        "interpreter": None,
        "arch": "x86_64",
        "packages": {"torch": "2.6.0", "packaging": "24.2"},
        "constraints": (),
    }
    return Lock(**(fields | changes))


def job(name="demo-ext", version="1.0", *, jobs=4, targets="9.0", source="sdist", **recipe):
    build = Build(name, version, "build", "as asked", recipe=Recipe(source, **recipe))
    return Job(build, build.recipe, jobs, targets)


def tools(**changes):
    return replace(TOOLS, **changes)
