"""Which build of a compiled package gets in: uv, pip and verl-env on one index, without a network.

python benchmarks/wrong_build.py [--keep DIR]

fkflash 2.8.3 is served in two builds, as GPU indices name them: +cu.12.8.torch.2.10 and +cu.12.8.torch.2.11. Both are
wheels with a real shared object, compiled here, which needs a symbol that only its torch exports. torch 2.10 is what is
installed (a library with that symbol and a version; compiled here too). Then the same with one build alone, which is
named for torch 2.10 and compiled against 2.11. What each tool installs, what its check says, and whether it loads:
"""

from __future__ import annotations

import argparse
import base64
import functools
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import tomli_w

from verl_env.installers.uv import find_uv

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
TAG = f"cp{sys.version_info[0]}{sys.version_info[1]}"
PLATFORM = f"{TAG}-{TAG}-linux_{platform.machine()}"
#: Where the catalogue says that the wheels are; the mirror table says that they are here.
PUBLISHED = "https://wheels.example/fkflash/"
#: What each torch exports and the other does not, mangled as in C++.
SYMBOLS = {"2.10": "_ZN3c1013materialize10Ev", "2.11": "_ZN3c1013materialize11Ev"}

TORCH = """
import ctypes, os
ctypes.CDLL(os.path.join(os.path.dirname(__file__), "lib", "libc10.so"), mode=ctypes.RTLD_GLOBAL)
from torch.version import __version__
"""
FKFLASH = """
import ctypes, glob, os, torch
for path in glob.glob(os.path.join(os.path.dirname(__file__), "*.so")):
    ctypes.CDLL(path, mode=os.RTLD_NOW)
"""


class Bench:
    """The files of the benchmark below one directory, and the server that gives them out."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = root / "files"
        self.files.mkdir(parents=True)
        handler = functools.partial(_Quiet, directory=str(root))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.env = {
            name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_", "VIRTUAL"))
        }
        self.env |= {"UV_NO_CONFIG": "1", "UV_CACHE_DIR": str(root / "uv"), "PIP_CONFIG_FILE": os.devnull}
        self.env |= {"PIP_CACHE_DIR": str(root / "pip"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    def compile(self, name: str, source: str, *flags: str) -> bytes:
        code, library = self.root / f"{name}.c", self.root / name
        code.write_text(source)
        subprocess.run(["gcc", "-shared", "-fPIC", "-nostdlib", "-o", library, code, *flags], check=True)
        return library.read_bytes()

    def torch(self) -> Path:
        library = self.compile("libc10.so", f"void {SYMBOLS['2.10']}(void) {{}}\n", "-Wl,-soname,libc10.so")
        version = "__version__ = '2.10.0+cu128'\ncuda: str = '12.8'\n"
        contents = {"torch/__init__.py": TORCH.encode(), "torch/version.py": version.encode()}
        return self.wheel("torch", "2.10.0", contents | {"torch/lib/libc10.so": library})

    def fkflash(self, named: str, compiled: str) -> Path:
        """A build that is named for one torch and compiled against one."""
        needs = f"void {SYMBOLS[compiled]}(void);\nvoid *PyInit__C(void) {{ {SYMBOLS[compiled]}(); return 0; }}\n"
        extension = self.compile(f"_C-{compiled}.so", needs, str(self.root / "libc10.so"), "-Wl,-z,undefs")
        module = f"fkflash/_C.cpython-{PYTHON.replace('.', '')}-{platform.machine()}-linux-gnu.so"
        contents = {"fkflash/__init__.py": FKFLASH.encode(), module: extension}
        return self.wheel("fkflash", f"2.8.3+cu.12.8.torch.{named}", contents, requires="torch")

    def wheel(self, name: str, version: str, contents: dict[str, bytes], requires: str | None = None) -> Path:
        info = f"{name}-{version}.dist-info"
        needs = f"Requires-Dist: {requires}\n" if requires else ""
        contents = contents | {
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}".encode(),
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {PLATFORM}\n".encode(),
        }
        record = "".join(f"{path},sha256={_digest(data)},{len(data)}\n" for path, data in contents.items())
        path = self.files / f"{name}-{version}-{PLATFORM}.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for inside, data in (contents | {f"{info}/RECORD": f"{record}{info}/RECORD,,\n".encode()}).items():
                archive.writestr(inside, data)
        return path

    def index(self, wheels: list[Path]) -> str:
        """The address of an index (PEP 503) with these files."""
        simple = self.root / "simple"
        shutil.rmtree(simple, ignore_errors=True)
        for wheel in wheels:
            page = simple / wheel.name.partition("-")[0] / "index.html"
            page.parent.mkdir(parents=True, exist_ok=True)
            link = f'<a href="/files/{wheel.name.replace("+", "%2B")}">{wheel.name}</a><br>\n'
            page.write_text((page.read_text() if page.exists() else "") + link)
        return f"{self.address}/simple/"

    def run(self, *argv: str | Path, **env: str) -> tuple[int, str]:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=self.env | env, cwd=self.root)
        return done.returncode, done.stdout + done.stderr


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def with_uv(bench: Bench, index: str) -> tuple[Path, str]:
    uv = find_uv()
    if uv is None:
        return bench.root / "nothing", "uv is not here"
    environment = bench.root / "by-uv"
    python = environment / "bin" / "python"
    bench.run(uv.executable, "venv", "--clear", "--python", sys.executable, environment)
    for name in ("torch==2.10.0", "fkflash"):
        bench.run(uv.executable, "pip", "install", "--refresh", "--python", python, "--index-url", index, name)
    return environment, bench.run(uv.executable, "pip", "check", "--python", python)[1].strip().splitlines()[-1]


def with_pip(bench: Bench, index: str) -> tuple[Path, str]:
    environment = bench.root / "by-pip"
    shutil.rmtree(environment, ignore_errors=True)
    bench.run(sys.executable, "-m", "venv", "--without-pip", environment)
    pip = [sys.executable, "-m", "pip", "--python", environment / "bin" / "python"]
    for name in ("torch==2.10.0", "fkflash"):
        bench.run(*pip, "install", "--no-cache-dir", "--index-url", index, name)
    return environment, bench.run(*pip, "check")[1].strip()


def with_verl_env(bench: Bench, index: str, torch: Path, wheels: dict[str, Path]) -> tuple[Path, str]:
    """Under a lockset with torch 2.10 and a catalogue that knows the builds; their publisher is out of reach."""
    environment = bench.root / "by-verl-env"
    for path in (environment, environment.with_name("by-verl-env.d"), bench.root / "constraints", bench.root / "cache"):
        path.unlink() if path.is_symlink() else shutil.rmtree(path, ignore_errors=True)
    _write_constraints(bench.root / "constraints", torch, wheels)
    env = {
        "VERL_ENV_CONSTRAINTS": str(bench.root / "constraints"),
        "VERL_ENV_CONFIG": str(
            _file(bench.root / "config.toml", f'[mirrors]\n"{PUBLISHED}" = "{bench.address}/files/"\n')
        ),
        "VERL_ENV_MACHINE": str(_file(bench.root / "machine.json", json.dumps(_machine()))),
        "VERL_ENV_CACHE_DIR": str(bench.root / "cache"),
        "UV_DEFAULT_INDEX": index,
    }
    command = [sys.executable, "-c", "from verl_env.cli.main import run; run()"]
    code, said = bench.run(*command, "install", "--stack", "demo", "--into", environment, **env)
    if code == 0:
        code, said = bench.run(*command, "pip", "--into", environment, "install", "fkflash", **env)
    lines = [line for line in said.splitlines() if line.startswith(("error", "+ fkflash", "  fkflash"))]
    return environment, (lines or said.splitlines())[0]


def _write_constraints(root: Path, torch: Path, wheels: dict[str, Path]) -> None:
    lock = f"torch==2.10.0 \\\n    --hash=sha256:{hashlib.sha256(torch.read_bytes()).hexdigest()}\n"
    lock += f"    # wheel; {torch.stat().st_size} bytes; {torch.stat().st_size} unpacked\n"
    _file(root / "bench" / "torch2.10" / "lock.txt", lock)
    digest = hashlib.sha256(lock.encode()).hexdigest()
    python = {"python": PYTHON, "file": "lock.txt", "sha256": digest, "packages": 1}
    lockset = {
        "schema": 1,
        "id": "bench/torch2.10",
        "family": "0.1",
        "verl": "0.1",
        "order": 1,
        "preview": False,
        "tier": "locked",
        "accelerator": "cuda",
        "cuda": "12.8",
        "torch": "2.10.0",
        "provides": ["demo"],
        "engines": {},
        "variant": {"path": "none", "commit": "0" * 40, "date": "2026-01-01T00:00:00Z", "facts_id": "bench"},
        "requires": {"arch": [platform.machine()], "gpu": []},
        "env": {},
        "checks": [],
        "pythons": [python | {"download_bytes": 1, "disk_bytes": 1}],
    }
    _file(root / "bench" / "torch2.10" / "lockset.toml", tomli_w.dumps(lockset))
    builds = [
        {
            "url": PUBLISHED + wheel.name.replace("+", "%2B"),
            "pythons": [PYTHON],
            "arch": platform.machine(),
            "torch": named,
            "cuda": "12",
            "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
            "source": "this benchmark",
        }
        for named, wheel in wheels.items()
    ]
    release = {"version": "2.8.3", "wheels": builds}
    _file(root / "components" / "fkflash.toml", tomli_w.dumps({"schema": 1, "name": "fkflash", "releases": [release]}))


def _machine() -> dict[str, object]:
    gpu = {"name": "NVIDIA H100 80GB HBM3", "compute_capability": "9.0"}
    host = {"os": "linux", "arch": platform.machine(), "glibc": "2.35", "wsl": False}
    pythons = [{"version": platform.python_version(), "path": sys.executable}]
    nvidia = {"driver": "580.65.06", "cuda": "13.0", "devices": [gpu]}
    return {"schema": 1, "host": host, "nvidia": nvidia, "amd": None, "pythons": pythons}


def _file(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def installed_build(bench: Bench, environment: Path) -> tuple[str, str]:
    """Which build is there, and what comes of importing it."""
    found = [path.name for path in environment.glob("lib/python*/site-packages/fkflash-*.dist-info")]
    if not found:
        return "none", "-"
    code, said = bench.run(environment / "bin" / "python", "-c", "import fkflash")
    missing = re.search(r"undefined symbol: \S+", said)
    reason = missing[0] if missing else said.strip().rpartition("\n")[2]
    return found[0].partition("+")[2].removesuffix(".dist-info"), "loads" if code == 0 else reason


def rows(bench: Bench, torch: Path, wheels: dict[str, Path]) -> list[tuple[str, str, str, str]]:
    index = bench.index([torch, *wheels.values()])
    tools = {
        "uv": lambda: with_uv(bench, index),
        "pip": lambda: with_pip(bench, index),
        "verl-env": lambda: with_verl_env(bench, index, torch, wheels),
    }
    found = []
    for name, install in tools.items():
        environment, said = install()
        build, loads = installed_build(bench, environment)
        found.append((name, build, said, loads))
    return found


def show(title: str, lines: list[tuple[str, str, str, str]]) -> None:
    print(f"\n{title}\n")
    print("| tool | build that got in | what it says | importing it |\n|---|---|---|---|")
    for line in lines:
        print(f"| {' | '.join(line)} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", metavar="DIR", type=Path, help="work there, and leave what was made")
    args = parser.parse_args()
    root = args.keep or Path(tempfile.mkdtemp(prefix="wrong-build-"))
    bench = Bench(root)
    try:
        torch = bench.torch()
        right = {"2.10": bench.fkflash("2.10", "2.10"), "2.11": bench.fkflash("2.11", "2.11")}
        both = rows(bench, torch, right)
        show("torch 2.10 is installed; the index has builds for torch 2.10 and for torch 2.11", both)
        lying = rows(bench, torch, {"2.10": bench.fkflash("2.10", "2.11")})
        show("the only build is named for torch 2.10, and compiled against torch 2.11", lying)
    finally:
        bench.server.shutdown()
        if args.keep is None:
            shutil.rmtree(root, ignore_errors=True)
    return 0 if both[-1][3] == "loads" and lying[-1][1] == "none" else 1


if __name__ == "__main__":
    sys.exit(main())
