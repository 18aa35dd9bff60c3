"""An environment, a host and variables that a case fills; what one check says of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from verl_env.doctor.checks import CHECKS
from verl_env.doctor.engines.host import Directory, HostFacts
from verl_env.doctor.gather import gather
from verl_env.doctor.run import evaluate
from verl_env.machine.model import UNKNOWN, Host, Machine, Nvidia, NvidiaDevice, Toolchain

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from tests.conftest import Compile
    from tests.doctor.conftest import Environment
    from verl_env.doctor.model import Finding

BY_ID = {check.id: check for check in CHECKS}
GIB = 1 << 30


@dataclass
class World:
    """What a case may change; ``beside`` is a folder outside of the environment."""

    environment: Environment
    build: Compile
    beside: Path
    variables: dict[str, str] = field(default_factory=dict)
    host: dict[str, Any] = field(default_factory=dict)
    capability: str | None = None
    container: str | None = None
    nvcc: Any = UNKNOWN

    @property
    def site(self) -> Path:
        return self.environment.site

    def add(self, name: str, version: str, *requires: str, files: dict[str, str] | None = None) -> None:
        """Installs a distribution with some files."""
        contents = {path: text.encode() for path, text in (files or {}).items()}
        self.environment.add(name, version, contents, requires)

    def write(self, path: str, text: str = "") -> Path:
        """A file that no distribution owns."""
        place = self.site / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place

    def object(self, name: str, path: str, source: str = "", *flags: str, version: str = "1.0", tag: str = "") -> None:
        """Compiles a shared object and installs it as the only file of a distribution."""
        self.build(self.site / path, source, *flags)
        info = self.environment.add(name, version, tag=tag or "py3-none-any")
        self.environment.record(info, [path])

    def stub(self, soname: str, source: str = "") -> tuple[str, ...]:
        """Linker flags for a library of some SONAME, which lies beside the environment until it is removed."""
        path = self.beside / soname
        self.build(path, source, f"-Wl,-soname,{soname}")
        return ("-Wl,--no-as-needed", f"-L{self.beside}", f"-l:{soname}", "-Wl,--allow-shlib-undefined")

    def place(self, role: str, path: Path, **changes: Any) -> None:
        """A directory of the host in some role (``vllm-cache``)."""
        made: dict[str, Any] = {"exists": True, "writable": True, "file_system": "ext4", "noexec": False, "device": 1}
        made |= {"free_bytes": 100 * GIB, "free_files": 9} | changes
        self.host.setdefault("directories", {})[role] = Directory(str(path), None, **made)

    def says(self, check: str) -> Finding | None:
        """What one check finds."""
        devices = (NvidiaDevice(0, compute_capability=self.capability),) if self.capability else ()
        machine = Machine(
            host=Host(glibc="2.99", arch="x86_64", container=self.container),
            nvidia=Nvidia(driver="580.65.06", devices=devices),
            amd=None,
            toolchain=Toolchain(nvcc=self.nvcc),
        )
        facts = gather(self.environment.prefix, self.variables, machine, host=HostFacts(**self.host))
        return evaluate(BY_ID[check], facts)
