"""What stands in for a ROCm machine and all that its locksets come from: nothing of it is simulated by a patch.

A tree with the kernel's list of GPUs and ``/opt/rocm``, whose ``hipcc`` compiles real objects for the targets that it
is told; a package index, the indexes of wheels for ROCm, and the repositories that are built. The locks are the shipped
ones, with the digests of the stand-ins; sources at a commit name the commit of the stand-in.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import tomli_w

from tests.binaries.test_hip import bundle, fat
from tests.builds.worlds import extension, tar_bytes
from tests.install.native_wheels import error, functions
from tests.install.server import Index
from tests.install.wheels import sha256, wheel_bytes, wheel_name
from tests.machine.amd.kfd_trees import FakeHost, mi300x
from tests.machine.trees import plant
from verl_env.builds.sources import origin_of
from verl_env.cli.main import main
from verl_env.components.load import load_catalogue as load_components
from verl_env.constraints import constraints_directory, parse_toml
from verl_env.locksets.catalogue import load_catalogue
from verl_env.locksets.load import load_packages, lock_parts
from verl_env.machine.probe import probe, probe_without_gpus
from verl_env.machine.record import machine_to_json

CONSTRAINTS = constraints_directory()
PYTHON = "3.12"
TAGS = "cp312-cp312-linux_x86_64"
PACKED = ("manylinux_2_28_x86_64", TAGS)
ENTRY = re.compile(r"(?m)^([a-z0-9-]+)(==| @ )(\S+)(?: \\\n(?:    --hash=\S+(?: \\)?\n)+|\n)    # (wheel|sdist)(.*)\n")
GITHUB = "https://github.com"
#: What builds ask for beside the lock.
BUILD = {"setuptools": "80.9.0", "setuptools-scm": "8.3.1", "setuptools-rust": "1.11.1", "wheel": "0.45.1"}
BUILD |= {"cmake": "3.31.6", "ninja": "1.11.1.4", "pybind11": "2.13.6", "packaging": "24.2", "jinja2": "3.1.6"}
BUILD |= {"psutil": "7.0.0"}

H100 = [{"index": number, "name": "NVIDIA H100", "compute_capability": "9.0"} for number in range(8)]

HIPCC = """\
#!@PYTHON
\"\"\"A compiler of HIP for tests: g++, and a section with a bundle for each target that it is told.\"\"\"
import os, shlex, subprocess, sys, tempfile
sys.path.insert(0, "@TESTS")
from tests.binaries.test_hip import bundle, fat

words = [*sys.argv[1:], *shlex.split(os.environ.get("HIPCC_COMPILE_FLAGS_APPEND", ""))]
told = [word.partition("=")[2] for word in words if word.startswith(("--offload-arch=", "--amdgpu-target="))]
targets = sorted({target for each in told for target in each.split(";")})
rest = [word for word in words if not word.startswith(("--offload-arch=", "--amdgpu-target="))]
if targets:
    rest.append(tempfile.mkstemp(suffix=".c")[1])
    with open(rest[-1], "w") as code:
        code.write(fat(bundle(*targets)))
rocm = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
print("hipcc for", *targets, flush=True)
sys.exit(subprocess.run(["g++", *rest, f"-L{rocm}/lib", "-Wl,--no-as-needed", "-l:@HIP"]).returncode)
"""
CALLS = """\
extern "C" int hipRuntimeGetVersion(int*);
static int hip() { int version = 0; hipRuntimeGetVersion(&version); return version; }
"""


class Hosts(Index):
    """Every index of wheels for ROCm: the page of a project, or a file, by the last part of an address."""

    def answer(self, request):
        *_, project, name = request.path.split("/")
        if name:
            self._file(request, unquote(name))
        else:
            self._page(request, project)


class RocmWorld:
    """``install`` of a shipped lockset on a machine that is none.

    Args:
        lockset: Its id.
        gpus: What the kernel lists, such as eight MI300X.
        code: The targets that wheels by address have code for; those of the lockset where None.
        hip: The library of HIP's run time that they need; that of the lockset's ROCm where None.
        real: Whether the package index is the real one; else each of its packages has a stand-in.
    """

    def __init__(self, lockset, tmp_path, capsys, compile_so, *, gpus=None, code=None, hip=None, real=False):
        self.tmp, self.capsys, self.compile_so, self.real = tmp_path, capsys, compile_so, real
        self.lockset = next(each for each in load_catalogue(CONSTRAINTS) if each.id == lockset)
        self.targets = code or sorted({target for gpu in self.lockset.requires.gpu for target in gpu.targets})
        self.cuda = self.lockset.accelerator == "cuda"
        major = (self.lockset.rocm or "").partition(".")[0]
        self.hip, self.wheel_hip = f"libamdhip64.so.{major}", hip or f"libamdhip64.so.{major}"
        self.into = tmp_path / "project" / ".venv"
        self.into.parent.mkdir()
        self.index = Index(self._folder("index"))
        self.hosts = Hosts(self._folder("hosts"))
        self.machine = self.tmp / "machine.json"
        if self.cuda:
            self.rocm = self._folder("no-rocm")
            need = self.lockset.requires.driver
            self._write_machine({"nvidia": {"driver": need.toolkit or need.minimum, "devices": H100}})
        else:
            self.rocm = self._rocm_tree(gpus or tuple(mi300x(number) for number in range(8)))
        self.root = self._constraints()
        self.env = self._environment()

    def close(self):
        self.index.close()
        self.hosts.close()

    def _folder(self, name):
        (self.tmp / name).mkdir()
        return self.tmp / name

    # The machine

    def _rocm_tree(self, gpus):
        """``/opt/rocm`` and the kernel's view; the machine is what the probe finds there."""
        host = FakeHost(gpus, rocm=f"{self.lockset.rocm}-39")
        major, minor, *_ = self.lockset.rocm.split(".")
        hip = f"HIP_VERSION_MAJOR={major}\nHIP_VERSION_MINOR={minor}\nHIP_VERSION_PATCH=1\n"
        roots = plant(self.tmp / "root", {**host.files, "/opt/rocm/share/hip/version": hip})
        rocm = self.tmp / "root" / "opt" / "rocm"
        (rocm / "bin").mkdir()
        tests = Path(__file__).parents[2]
        text = HIPCC.replace("@PYTHON", sys.executable).replace("@TESTS", str(tests)).replace("@HIP", self.hip)
        (rocm / "bin" / "hipcc").write_text(text)
        (rocm / "bin" / "hipcc").chmod(0o755)
        source = "int hipRuntimeGetVersion(int *version) { *version = 60342131; return 0; }"
        self.compile_so(rocm / "lib" / self.hip, source, f"-Wl,-soname,{self.hip}")
        self._write_machine({"amd": machine_to_json(probe(roots, {}))["amd"]})
        return rocm

    def _write_machine(self, gpus):
        here = machine_to_json(probe_without_gpus())
        host = {**here["host"], "glibc": self.glibc, "arch": "x86_64"}
        known = {"schema": 1, "host": host, "nvidia": None, "amd": None, "pythons": here["pythons"]}
        self.machine.write_text(json.dumps({**known, **gpus}))

    @property
    def glibc(self):
        return self.lockset.requires.glibc.minimum

    # The catalogue

    def _constraints(self):
        """The lockset alone, and all components: digests and commits are those of the stand-ins."""
        root, here = self.tmp / "constraints", CONSTRAINTS / self.lockset.id
        (root / self.lockset.id).mkdir(parents=True)
        shutil.copytree(CONSTRAINTS / "components", root / "components")
        shutil.copy(CONSTRAINTS / "without.toml", root)
        (lock,) = (lock for lock in self.lockset.pythons if lock.python == PYTHON)
        self.packages = {each.name: each for each in load_packages(here, lock)}
        text = b"".join(lock_parts(here, lock.file).values()).decode()
        text = ENTRY.sub(self._entry, "".join(line for line in text.splitlines(True) if not line.startswith("-r ")))
        (root / self.lockset.id / "lock.txt").write_text(text)
        table = parse_toml(here / "lockset.toml")
        kept = next(each for each in table["pythons"] if each["python"] == PYTHON)
        sizes = {} if self.real else {"download_bytes": 1, "disk_bytes": 1}
        table["pythons"] = [{**kept, **sizes, "file": "lock.txt", "sha256": sha256(text.encode())}]
        table["checks"] = [check for check in table["checks"] if self.real or check["id"] in {"torch", "verl"}]
        (root / self.lockset.id / "lockset.toml").write_text(tomli_w.dumps(table))
        for name, version in {} if self.real else BUILD.items():
            if name not in self.packages or name == "pybind11":
                self._publish(name, version)
        self._repositories(root / "components")
        return root

    def _entry(self, match):
        """The entry of a lock with the digest of the stand-in that is published for it."""
        name, joint, rest, kind, more = match.groups()
        package = self.packages[name]
        if package.url is None:
            if self.real:
                return match[0]
            digest = self._publish(name, package.version)
            return f"{name}=={package.version} \\\n    --hash=sha256:{digest}\n    # wheel\n"
        digest = self._address(package)
        hashed = f" \\\n    --hash=sha256:{digest}" if package.hashes else ""
        return f"{name}{joint}{rest}{hashed}\n    # {kind}{more}\n"

    def _publish(self, name, version):
        build = f"+cu{self.lockset.cuda.replace('.', '')}" if self.cuda and name == "torch" else ""
        said = f"__version__ = '{version}{build}'\n"
        content = wheel_bytes(name, version, {f"{name.replace('-', '_')}/__init__.py": said})
        (self.index.directory / wheel_name(name, version)).write_bytes(content)
        return sha256(content)

    def _address(self, package):
        """A small real wheel in the place of one by address: torch with libraries that need HIP's run time."""
        module = package.name.replace("-", "_")
        if package.source == "sdist":
            content = tar_bytes(f"{module}-{package.version}", extension(package.name, package.version, torch="types"))
            (self.hosts.directory / f"{module}-{package.version}.tar.gz").write_bytes(content)
            return sha256(content)
        files = {
            f"{module}/__init__.py": f"__version__ = '{package.version}'\n",
            f"{module}/_C.so": self._object(module),
        }
        if package.name == "torch" and self.cuda:
            files["torch/version.py"] = f"__version__ = '{package.version}'\ncuda = '{self.lockset.cuda}'\n"
        elif package.name == "torch":
            files["torch/lib/libtorch_hip.so"] = files.pop("torch/_C.so")
            files["torch/lib/libc10.so"] = self.compile_so(
                self.tmp / "made" / "libc10.so", functions(error(True))
            ).read_bytes()
            files["torch/version.py"] = f"__version__ = '{package.version}'\nhip = '{self.lockset.rocm}'\n"
        content = wheel_bytes(package.name, package.version, files)
        file = wheel_name(package.name, package.version, TAGS)
        if not package.by_index:
            file = unquote(package.url.rsplit("/", 1)[-1])
        (self.hosts.directory / file).write_bytes(content)
        return sha256(content)

    def _object(self, name):
        """An object that needs HIP's run time and has code for the targets; for CUDA, one without either."""
        if self.cuda:
            return self.compile_so(self.tmp / "made" / f"{name}.so", "int nothing;").read_bytes()
        stub = self.compile_so(self.tmp / "stubs" / self.wheel_hip, "int hipMalloc;", f"-Wl,-soname,{self.wheel_hip}")
        flags = ["-Wl,--no-as-needed", str(stub)]
        return self.compile_so(self.tmp / "made" / f"{name}.so", fat(bundle(*self.targets)), *flags).read_bytes()

    # What is built

    def _repositories(self, components):
        """A repository for each source of the lockset's natives, below the place that stands for GitHub."""
        catalogue = load_components(CONSTRAINTS)
        for native in self.lockset.natives:
            releases = catalogue.components[native.name].releases
            for recipe in next(each.recipes for each in releases if each.version == native.version):
                if recipe.source == "sdist":
                    continue
                origin = origin_of(recipe.source)
                commit = self._repository(native, recipe, origin)
                if origin.fixed and not origin.ref.startswith("v"):
                    file = components / f"{native.name}.toml"
                    file.write_text(file.read_text().replace(f"@{origin.ref}", f"@{commit}"))

    def _repository(self, native, recipe, origin):
        place = self.tmp / "github" / origin.url.removeprefix(f"{GITHUB}/")
        folder = place / recipe.folder
        folder.mkdir(parents=True, exist_ok=True)
        files = self._source(native.name, recipe)
        copied = {command[2]: command[1] for command in recipe.commands if command[0] == "cp"}
        files = {copied.get(name, name): text for name, text in files.items()}
        for name in {*copied.values()} - files.keys():
            files[name] = ""
        for name, text in files.items():
            (folder / name).write_text(text)
        git = ["git", "-C", str(place), "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main"]
        for words in (["init", "-q"], ["add", "."], ["commit", "-qm", native.name]):
            subprocess.run([*git, *words], check=True)
        if origin.ref and not origin.fixed:
            subprocess.run([*git, "tag", origin.ref], check=True)
        done = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def _source(self, name, recipe):
        """A small extension; where the component is HIP, ``hipcc`` compiles it for the targets of the build."""
        if not any(tool.name == "hipcc" for tool in recipe.tools):
            return extension(name, torch="types")
        more = "print('variables', {name: os.environ.get(name) for name in (@NAMES)}, flush=True)"
        names = ["HIPCC_COMPILE_FLAGS_APPEND", *recipe.env, recipe.arch_variable or "PATH"]
        made = extension(name, headers=CALLS, answer="hip()", more=more.replace("@NAMES", repr(names)[1:-1]))
        targets = f"os.environ.get({recipe.arch_variable!r}, '').split(';')"
        flags = f"*[f'--offload-arch={{each}}' for each in {targets} if each]" if recipe.arch_variable else ""
        made["backend.py"] = made["backend.py"].replace('"g++", ', f'"hipcc", {flags}, '.replace(", , ", ", "))
        return made

    # What is run

    def _environment(self):
        hosts = {re.match(r"https://[^/]+", each.url)[0] for each in self.packages.values() if each.url}
        mirrors = {host: f"{self.hosts.address}/{host.removeprefix('https://')}" for host in hosts}
        if not self.cuda:
            mirrors[GITHUB] = f"file://{self.tmp}/github"
        config = self.tmp / "config.toml"
        config.write_text(tomli_w.dumps({"mirrors": mirrors}))
        found = {"VERL_ENV_CONFIG": config, "VERL_ENV_CONSTRAINTS": self.root, "ROCM_PATH": self.rocm}
        found |= {"VERL_ENV_CACHE_DIR": self.tmp / "cache"}
        if not self.real:
            found |= {"UV_DEFAULT_INDEX": self.index.simple}
        return {name: str(value) for name, value in found.items()}

    def install(self, *flags):
        """``verl-env install`` of everything that the lockset provides: the exit code, and all that it says."""
        argv = ["install", "--lockset", self.lockset.id, "--machine", str(self.machine), "--into", str(self.into)]
        code = main([*argv, "--yes", *flags])
        captured = self.capsys.readouterr()
        return code, captured.out + captured.err

    def log(self, name):
        """The log of the build of a component."""
        (found,) = (self.tmp / "cache" / "logs").glob(f"{name}-*.log")
        return found.read_text()

    @property
    def site(self):
        return self.into / "lib" / f"python{PYTHON}" / "site-packages"

    def answer(self, module):
        """What a built module gets from HIP's run time."""
        code = f"import {module}; print({module}.answer())"
        env = {"LD_LIBRARY_PATH": str(self.rocm / "lib")}
        python = str(self.into / "bin" / "python")
        done = subprocess.run([python, "-c", code], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)
