"""Small sources that really build, a torch that is none, and plans that want them: no index, no network."""

import hashlib
import io
import sys
import tarfile

from tests.install.plans import PYTHON, Recorder, lockset, options, plan
from verl_env.choose.model import Build
from verl_env.components.model import Catalogue, Component, Recipe, Release
from verl_env.environment.target import open_target
from verl_env.install.run import install
from verl_env.machine.model import Host, Machine, Nvidia, NvidiaDevice, Toolchain
from verl_env.records import replace

#: A build backend of its own: compiles one file for the torch that is there, and says how far it is.
BACKEND = """\
import os, subprocess, sys, sysconfig, zipfile
@TOP
import @TORCH as torch

NAME, VERSION, MODULE, INCLUDE = "@NAME", "@VERSION", "@MODULE", @INCLUDE
INFO = f"{MODULE}-{VERSION}.dist-info"
TAG = f"cp{sys.version_info[0]}{sys.version_info[1]}"
TAG = f"{TAG}-{TAG}-linux_{os.uname().machine}"


def build_wheel(directory, config_settings=None, metadata_directory=None):
    print("building for torch", getattr(torch, "__version__", None), "with", config_settings, flush=True)
    for name in ("MAX_JOBS", "TORCH_CUDA_ARCH_LIST", "DEMO"):
        print(f"{name}={os.environ.get(name)}", flush=True)
    for step in range(1, 4):
        print(f"[{step}/3] c++ part{step}.o", flush=True)
    @MORE
    object_ = f"{MODULE}{sysconfig.get_config_var('EXT_SUFFIX')}"
    include = [f"-I{path}" for path in (sysconfig.get_path("include"), *INCLUDE)]
    subprocess.run(["g++", "-shared", "-fPIC", *include, "part.cpp", "-o", object_], check=True)
    name = f"{MODULE}-{VERSION}-{TAG}.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        wheel.write(object_)
        wheel.writestr(f"{INFO}/METADATA", f"Metadata-Version: 2.1\\nName: {NAME}\\nVersion: {VERSION}\\n")
        wheel.writestr(f"{INFO}/WHEEL", f"Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\nTag: {TAG}\\n")
        wheel.writestr(f"{INFO}/RECORD", f"{object_},,\\n{INFO}/METADATA,,\\n{INFO}/WHEEL,,\\n{INFO}/RECORD,,\\n")
    return name
"""
PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
CODE = """\
#include <Python.h>
HEADERS
static PyObject* answer(PyObject*, PyObject*) { return PyLong_FromLong(ANSWER); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {nullptr, nullptr, 0, nullptr}};
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "MODULE", "", -1, methods, nullptr, nullptr, nullptr, nullptr};
PyMODINIT_FUNC PyInit_MODULE() { return PyModule_Create(&module); }
"""


def tar_bytes(folder, files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(text.encode())
            entry.mtime = 0
            archive.addfile(entry, io.BytesIO(text.encode()))
    return stream.getvalue()


def extension(name, version="1.0", *, more="", headers="", answer="42", include="[]", top="pass", torch="torch"):
    """The files of a source distribution with one C++ extension whose ``answer()`` is a number.

    ``top`` runs whenever its backend is loaded; ``torch`` is the module that it takes for torch.
    """
    module = name.replace("-", "_")
    values = {"@NAME": name, "@VERSION": version, "@MODULE": module, "@INCLUDE": include, "@MORE": more or "pass"}
    values |= {"@TOP": top, "@TORCH": torch}
    backend = BACKEND
    for mark, value in values.items():
        backend = backend.replace(mark, value)
    return {
        "backend.py": backend,
        "pyproject.toml": PROJECT,
        "part.cpp": CODE.replace("HEADERS", headers).replace("ANSWER", answer).replace("MODULE", module),
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
    }


class Yard:
    """A wheelhouse with a torch that is none and sources, and a target to build into."""

    def __init__(self, tmp_path, house, path, monkeypatch):
        self.tmp_path, self.house, self.path = tmp_path, house, path
        self.tmp = tmp_path / "tmp"
        self.tmp.mkdir(exist_ok=True)
        monkeypatch.setenv("TMPDIR", str(self.tmp))
        for tool in ("setuptools", "wheel"):
            house.add(tool, "1.0")
        self.packages = [house.add("torch", "2.6.0", {"torch/__init__.py": "__version__ = '2.6.0'\n"})]
        self.machine = Machine(
            host=Host(glibc="2.35"),
            nvidia=Nvidia(devices=(NvidiaDevice(0, compute_capability="9.0"),)),
            toolchain=Toolchain(nvcc="12.4.131", gcc="11.4.0", gxx="11.4.0", cuda_home=None, ninja="1.11"),
        )
        self.components = {}
        monkeypatch.setattr("verl_env.components.load.load_catalogue", self.catalogue)

    def tools(self, **changes):
        """Other tools on the machine."""
        self.machine = replace(self.machine, toolchain=replace(self.machine.toolchain, **changes))

    def catalogue(self):
        found = {
            name: Component(name, None, (Release(build.version, (), (build.recipe,)),))
            for name, build in self.components.items()
        }
        return Catalogue(found, (), (), ())

    def sdist(self, name, version="1.0", **more):
        """Puts a source distribution into the wheelhouse; the build of it."""
        content = tar_bytes(f"{name}-{version}", extension(name, version, **more))
        (self.house.path / f"{name.replace('-', '_')}-{version}.tar.gz").write_bytes(content)
        return self.build(name, version, sha256=hashlib.sha256(content).hexdigest())

    def build(self, name, version="1.0", *, source="sdist", **recipe):
        made = Build(name, version, "build", "as asked", recipe=Recipe(source, **recipe))
        self.components[name] = made
        return made

    def plan(self, *builds):
        made = plan(self.packages, lock=lockset(torch="2.6.0"))
        native = next(step for step in made.steps if step.kind == "packages")
        steps = []
        for step in made.steps:
            steps.append(step)
            if step is native:
                steps += [replace(step, kind="native", title=f"build {build.name}") for build in builds]
        return replace(made, natives=builds, steps=tuple(steps))

    def install(self, *builds, recorder=None, **changes):
        settings = {"offline": True, "wheelhouse": self.house.path, "installer": "uv", "machine": self.machine}
        made = options(self.tmp_path, **(settings | changes))
        return install(self.plan(*builds), open_target(self.path), made, recorder or Recorder())

    @property
    def site(self):
        return self.path / "lib" / f"python{PYTHON}" / "site-packages"

    @property
    def built(self):
        return self.tmp_path / "cache" / "built"


def answer(site, module):
    """What a built extension says, asked in a process of its own."""
    import subprocess

    code = f"import sys; sys.path.insert(0, {str(site)!r}); import {module}; print({module}.answer())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout)
