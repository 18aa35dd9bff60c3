"""Ways to break a copy of a real environment; every written file is a new one, so that the original stays whole."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verl_env.installers.uv import find_uv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Broken:
    """A copy to break: its prefix, and a folder beside it for what lies outside of the environment."""

    prefix: Path
    aside: Path

    @property
    def site(self) -> Path:
        return next((self.prefix / "lib").glob("python3*/site-packages"))

    def fill(self, text: str) -> str:
        """A text of the table with the folders of this copy in it."""
        long = self.aside / ("t" * max(1, 59 - len(str(self.aside))))
        long.mkdir(exist_ok=True)
        python = self.site.parent.name
        return text.format(copy=self.prefix, aside=self.aside, long=long, python=python)

    def apply(self, case: Mapping[str, Any]) -> None:
        """Does everything that a case of the table says."""
        self.install(case.get("install", ()))
        if "aside" in case:
            self.install(case["aside"], "--target", str(self.aside))
        for name in case.get("remove", ()):
            (self.site / name).unlink()
        for name in case.get("truncate", ()):
            replace(self.site / name, (self.site / name).read_bytes()[:1000])
        for name, text in case.get("write", {}).items():
            replace(self.site / self.fill(name), text.encode())
        if case.get("not_venv"):
            (self.prefix / "pyvenv.cfg").unlink()
        for name in case.get("objects", ()):
            build(self.site / name, case["symbols"], case.get("needs_glibc"))

    def install(self, requirements: Sequence[str], *options: str) -> None:
        """Installs with uv, without dependencies, as the careless command that broke it did."""
        uv = find_uv()
        if not requirements or uv is None:
            return
        python = str(self.prefix / "bin" / "python")
        argv = [uv.executable, "pip", "install", "-q", "--no-deps", "--python", python, *options, *requirements]
        subprocess.run(argv, check=True, env={**os.environ, "UV_LINK_MODE": "hardlink"})


def replace(path: Path, content: bytes) -> None:
    """Writes a new file in the place of one that may be a hard link."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(content)
    new.replace(path)


def build(path: Path, symbols: Sequence[str], glibc: str | None) -> None:
    """Compiles an extension that wants these symbols, of the libc of this version where one is named."""
    path.parent.mkdir(parents=True, exist_ok=True)
    source = path.with_name(f"{path.name}.c")
    calls = "".join(f"extern void {name}(void);\n" for name in symbols)
    source.write_text(f"{calls}void use(void) {{ {' '.join(f'{name}();' for name in symbols)} }}\n")
    libraries = [str(_libc(path, symbols, glibc))] if glibc else []
    nothing = ["-nostdlib"] if glibc else []
    gcc("-shared", "-fPIC", *nothing, "-o", str(path), str(source), *libraries)
    source.unlink()
    for library in libraries:
        Path(library).unlink()


def _libc(path: Path, symbols: Sequence[str], version: str) -> Path:
    """A library that says it is this libc, to link against."""
    library = path.with_name("libc-stub.so")
    source, script = library.with_suffix(".c"), library.with_suffix(".map")
    source.write_text("".join(f"void {name}(void) {{}}\n" for name in symbols))
    script.write_text(f"GLIBC_{version} {{ global: {' '.join(f'{name};' for name in symbols)} }};\n")
    named = ["-Wl,-soname,libc.so.6", f"-Wl,--version-script={script}"]
    gcc("-shared", "-fPIC", "-fno-builtin", "-nostdlib", *named, "-o", str(library), str(source))
    source.unlink()
    script.unlink()
    return library


def gcc(*arguments: str) -> None:
    subprocess.run(["gcc", "-w", *arguments], check=True)
