"""What stands in for GitHub: a server, and wheels of flash-attn under the names that its releases give them.

Nothing is patched: the command line reads a catalogue of its own, and the ``[mirrors]`` of a configuration lead from
the addresses in it to the server.
"""

import json
import platform

import tomli_w

from tests.builds.worlds import extension, tar_bytes
from tests.cli.test_install import ID, MACHINE, Bench
from tests.install.native_wheels import Makers, error, functions
from tests.install.plans import PYTHON
from tests.install.server import Index
from tests.install.wheels import sha256, wheel_bytes
from verl_env.cli.main import main
from verl_env.components.decode import SCHEMA
from verl_env.environment.state import read_state

GITHUB = "https://github.com/"
RELEASE = f"{GITHUB}Dao-AILab/flash-attention/releases/download/v2.7.4.post1/"
REBUILT = f"{GITHUB}somebody/flash-attention-wheels/releases/download/1/"
SOURCE = f"{GITHUB}Dao-AILab/flash-attention/archive/refs/tags/v2.7.4.post1.tar.gz"
ARCH = platform.machine()
VERSION = "2.7.4.post1"


def tag(python):
    return f"cp{python.replace('.', '')}"


def wheel_name(*, torch="2.6", abi="FALSE", cuda="12", python=PYTHON):
    """As flash-attn's releases name their wheels."""
    return f"flash_attn-{VERSION}+cu{cuda}torch{torch}cxx11abi{abi}-{tag(python)}-{tag(python)}-linux_{ARCH}.whl"


class GitHub(Index):
    """Serves files by their whole paths; ``faults`` are by address, and ``silent`` never answers."""

    def answer(self, request):
        path = request.path.replace("%2B", "+").strip("/")
        if self.faults.get(path) == "silent":
            self.closing.wait()
        else:
            self._file(request, path)

    def fail(self, url, fault):
        self.faults[url.removeprefix(GITHUB)] = fault

    def publish(self, url, content):
        path = self.directory / url.removeprefix(GITHUB)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


class World(Bench):
    """``install`` with an index for the lock and a stand-in for what no index has."""

    def __init__(self, tmp_path, capsys, compile_so):
        super().__init__(tmp_path, capsys)
        (tmp_path / "github").mkdir()
        self.github = GitHub(tmp_path / "github")
        self.index = Index(self.house.path)
        self.make = Makers(tmp_path, compile_so)
        self.torch("2.6.0", abi=False)
        config = tmp_path / "config.toml"
        config.write_text(f'[mirrors]\n"{GITHUB}" = "{self.github.address}/"\n')
        self.env = {"VERL_ENV_CONFIG": str(config), "UV_DEFAULT_INDEX": self.index.simple, "UV_HTTP_RETRIES": "0"}

    def close(self):
        self.github.close()
        self.index.close()

    def torch(self, version, *, abi, cuda="12.4", extra=(), pythons=(PYTHON,)):
        """A lockset with that torch, of one C++ ABI, which needs flash-attn."""
        library = self.make.library("libc10.so", functions(error(abi), *extra), folder=f"torch-{version}")
        about = f"__version__ = '{version}+cu{cuda.replace('.', '')}'\ncuda: Optional[str] = '{cuda}'\n"
        files = {
            "torch/__init__.py": f"__version__ = {version!r}\n",
            "torch/version.py": about,
            "torch/lib/libc10.so": library.read_bytes(),
        }
        package = self.house.add("torch", version, files)
        natives = [{"name": "flash-attn", "version": VERSION, "reason": "no index has its wheels"}]
        self.lockset(ID, [self.demo, package], pythons=pythons, torch=version, cuda=cuda, natives=natives)

    def on(self, pythons=MACHINE["pythons"], **host):
        """The machine, with other Pythons or other facts of its host; it has no nvcc."""
        machine = {**MACHINE, "host": {**MACHINE["host"], **host}, "toolchain": {"nvcc": None, "gcc": "11.4.0"}}
        machine["pythons"] = pythons
        self.machine.write_text(json.dumps(machine))

    def module(self, *symbols, python=PYTHON, **more):
        name = f"flash_attn_2_cuda.cpython-{python.replace('.', '')}-{ARCH}-linux-gnu.so"
        return self.make.module(*symbols, name=name, **more)

    def wheel(self, module, url=RELEASE, torch="2.6", **named):
        """Puts a wheel with a module in it where an address leads; its entry in the catalogue."""
        url += wheel_name(torch=torch, **named)
        files = {"flash_attn/__init__.py": "", module.name: module.read_bytes()}
        content = wheel_bytes("flash-attn", VERSION, files)
        self.github.publish(url, content)
        address = url.replace("+", "%2B")
        digest = sha256(content)
        return {"url": address, "pythons": [PYTHON], "arch": ARCH, "torch": torch, "sha256": digest, "source": "a test"}

    def component(self, *wheels, recipes=()):
        """The catalogue of this world: flash-attn with these ways."""
        release = {"version": VERSION, "wheels": list(wheels), "recipes": list(recipes)}
        abi = [
            {"torch": "2.0", "cxx11abi": False, "source": "a test"},
            {"torch": "2.7", "cxx11abi": True, "source": "a test"},
        ]
        tables = {
            "flash-attn": {"schema": SCHEMA, "name": "flash-attn", "imports": "flash_attn", "releases": [release]},
            "toolchain": {"schema": SCHEMA, "compilers": [], "capabilities": [], "abi": abi},
        }
        folder = self.root / "components"
        folder.mkdir(exist_ok=True)
        for name, table in tables.items():
            (folder / f"{name}.toml").write_text(tomli_w.dumps(table))

    def recipe(self):
        """A build from an archive that the stand-in serves."""
        content = tar_bytes(f"flash-attention-{VERSION}", extension("flash-attn", VERSION))
        self.github.publish(SOURCE, content)
        return {"source": SOURCE, "sha256": sha256(content), "sources": ["a test"]}

    def install(self, *flags):
        """``verl-env install``: the exit code, and all that it says."""
        argv = ["install", "--stack", "demo", "--machine", str(self.machine), "--into", str(self.into), *flags]
        code = main(argv)
        captured = self.capsys.readouterr()
        return code, captured.out + captured.err

    def plan(self, *flags):
        """``verl-env plan --json``."""
        argv = ["plan", "--stack", "demo", "--machine", str(self.machine), "--json", *flags]
        main(argv)
        return json.loads(self.capsys.readouterr().out)

    @property
    def way(self):
        """Where flash-attn is recorded to have come from; None where it is not there."""
        site = self.into / "lib" / f"python{PYTHON}" / "site-packages"
        recorded = read_state(self.into).ways.get("flash-attn")
        assert bool(recorded) is bool(list(site.glob("flash_attn_2_cuda*.so")) or list(site.glob("flash_attn.*.so")))
        return recorded

    def downloads(self, url):
        """How often the file of an address was fetched from the stand-in."""
        return self.github.fetched.count("/" + url.removeprefix(GITHUB).replace("+", "%2B"))
