"""One environment on disk: what its engines say, each asked once and only when some check needs it."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.binaries import loader as loading
from verl_env.binaries.elf import EM_X86_64, MACHINES, ElfError, ElfInfo, read_elf
from verl_env.binaries.symbols import Providers, undefined, unresolved
from verl_env.doctor.engines import metadata, names, requirements
from verl_env.doctor.engines import record as records
from verl_env.doctor.engines.torchload import TorchProcess, simulate
from verl_env.doctor.errors import NoEnvironmentError
from verl_env.doctor.lazy import lazily
from verl_env.environment.state import read_state
from verl_env.reading import text_or_none, what_is
from verl_env.records import NOTHING, record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from verl_env.doctor.engines.metadata import Described, SiteDirectory
    from verl_env.doctor.engines.record import Clash, Owned
    from verl_env.environment.damage import Damage

_SHARED = re.compile(r"\.so(\.\d+)*$")
_CONFIG = re.compile(r"^[ \t]*([\w-]+)[ \t]*=[ \t]*(.*)$", re.MULTILINE)
#: The libraries of torch that extensions link to.
_TORCH_LIBRARIES = ("c10", "c10_cuda", "c10_hip", "torch", "torch_cpu", "torch_cuda", "torch_hip", "torch_python")


@record
class Shared:
    """One shared object: its owner (canonical name; None for an unrecorded file), its facts or why there are none."""

    path: str
    owner: str | None
    elf: ElfInfo | None
    error: str | None = None


class InspectedEnvironment:
    """An environment, read from outside.

    Args:
        prefix: The directory that holds ``bin/python``.
        environment: The variables it would run with (``LD_LIBRARY_PATH``, ``PYTHONPATH``, ...).
        ld_cache: Another ``ld.so.cache``, for tests.

    Raises:
        NoEnvironmentError: there is no environment at that place.
    """

    def __init__(
        self, prefix: Path, environment: Mapping[str, str], *, ld_cache: str | Path = "/etc/ld.so.cache"
    ) -> None:
        self.lock = threading.RLock()
        self.prefix = prefix
        self.environment = environment
        self._ld_cache = ld_cache
        if not prefix.is_dir():
            raise NoEnvironmentError(str(prefix), f"it is {what_is(prefix)}")
        sites = metadata.sites_of(prefix)
        if not sites:
            raise NoEnvironmentError(str(prefix), "it has no lib/python3.*/site-packages")
        self.python = self._version(sites)
        self.site_paths = [path for path in sites if path.parent.name in {f"python{self.python}", "python3"}]

    @property
    def site(self) -> Path:
        """The first site-packages directory."""
        return self.site_paths[0]

    @lazily
    def torch_site(self) -> Path:
        """The directory that torch is imported from; its own where there is no torch."""
        places = (Path(site.path) for site in (*self.sites, *self.after))
        return next((place for place in places if (place / "torch").is_dir()), self.site)

    @property
    def interpreter(self) -> Path:
        """The environment's interpreter."""
        python, python3 = self.prefix / "bin/python", self.prefix / "bin/python3"
        # Where a link leads to may be closed to this user, which Path.exists raises.
        return python3 if os.path.exists(python3) and not os.path.exists(python) else python  # noqa: PTH110

    @lazily
    def config(self) -> dict[str, str]:
        """The keys of pyvenv.cfg; empty for an environment that is no venv."""
        text = text_or_none(self.prefix / "pyvenv.cfg") or ""
        return {key.lower(): value.rstrip() for key, value in _CONFIG.findall(text)}

    @property
    def sees_system(self) -> bool:
        """Whether it is a venv that also sees the packages of its base Python and of the user's site, after its own."""
        return self.config.get("include-system-site-packages", "").lower() == "true"

    @lazily
    def sites(self) -> tuple[SiteDirectory, ...]:
        """Its own site-packages directories."""
        return tuple(metadata.scan_site(path) for path in self.site_paths)

    @lazily
    def before(self) -> tuple[SiteDirectory, ...]:
        """Directories from outside that are searched before its own: PYTHONPATH, and the user's site without a venv."""
        return self._outside([*self._python_path(), *(() if self.config else self._user_site())])

    @lazily
    def after(self) -> tuple[SiteDirectory, ...]:
        """Directories from outside that are searched after its own: of a venv with system packages."""
        if not self.sees_system or "home" not in self.config:
            return ()
        named = {f"python{self.python}", "python3"}
        base = metadata.sites_of(Path(self.config["home"]).parent)
        return self._outside([*self._user_site(), *(path for path in base if path.parent.name in named)])

    @property
    def search_path(self) -> tuple[str, ...]:
        """The directories of packages that its interpreter searches, in its order (those of .pth files left out)."""
        return tuple(site.path for site in (*self.before, *self.sites, *self.after))

    def _python_path(self) -> list[Path]:
        return [Path(entry) for entry in self.environment.get("PYTHONPATH", "").split(":") if entry]

    def _user_site(self) -> list[Path]:
        user = metadata.user_site(self.python, self.environment)
        return [user] if user else []

    def _outside(self, paths: Sequence[Path]) -> tuple[SiteDirectory, ...]:
        own = {path.resolve() for path in self.site_paths}
        return tuple(metadata.scan_site(path) for path in paths if path.is_dir() and path.resolve() not in own)

    @lazily
    def distributions(self) -> tuple[Described, ...]:
        """Every distribution of its own directories, of those that their .pth files add, and what it has not itself."""
        found = [distribution for site in self.sites for distribution in site.distributions]
        added = [metadata.scan_site(path) for site in self.sites for path in site.added]
        for site in (*added, *self.after):
            names = {distribution.name for distribution in found}
            found += [extra for extra in site.distributions if extra.name not in names]
        return tuple(found)

    @lazily
    def missed(self) -> tuple[requirements.Missed, ...]:
        """Requirements of its distributions that are not met."""
        versions = {one.name: one.version for one in reversed(self.distributions)}
        machine = MACHINES.get(self.loader.machine)
        values = requirements.marker_environment(self.python, machine)
        return tuple(requirements.missed(self.distributions, versions, values))

    @lazily
    def records(self) -> tuple[Owned, ...]:
        """The recorded files of every distribution."""
        return tuple(map(records.read_record, self.distributions))

    @lazily
    def clashes(self) -> tuple[Clash, ...]:
        """Paths that two distributions claim with different contents."""
        return tuple(records.clashes(self.records))

    @lazily
    def damages(self) -> tuple[Damage, ...]:
        """Recorded files that are missing or have another size; files that two claim are left to ``clashes``.

        What a wheel brought otherwise than its RECORD says is none: the environment's record tells.
        """
        foreign = frozenset(clash.path for clash in self.clashes)
        state = read_state(self.prefix)
        usual = NOTHING if state is None else state.unlike
        return tuple(
            damage
            for owned in self.records
            for damage in records.damages(owned, foreign=foreign)
            if not records.came_so(damage, owned, usual.get(owned.distribution.name, NOTHING))
        )

    @lazily
    def objects(self) -> tuple[Shared, ...]:
        """Every shared object of the environment, each with its dynamic facts."""
        return tuple(_shared(path, owner) for path, owner in self._object_paths())

    @lazily
    def loader(self) -> loading.Loader:
        """The loader's search order for this interpreter, host and environment."""
        try:
            python = read_elf(self.interpreter.resolve())
        except (ElfError, OSError):
            python = None
        machine = python.machine if python else EM_X86_64
        return loading.Loader(
            library_path=loading.split_library_path(self.environment.get("LD_LIBRARY_PATH")),
            cache=loading.read_cache(self._ld_cache, machine),
            executable_rpath=loading.expand(python.rpath, python.path) if python and not python.runpath else (),
            machine=machine,
        )

    @lazily
    def torch(self) -> TorchProcess:
        """What a process has loaded after ``import torch``; empty where torch is not there."""
        return simulate(self.torch_site, self.loader, self.providers)

    @property
    def torch_process(self) -> loading.Closure:
        """The libraries of that process."""
        return self.torch.closure

    @lazily
    def torch_libraries(self) -> tuple[str, ...]:
        """The libraries of torch that define what extensions use."""
        base = self.torch_site / "torch" / "lib"
        return tuple(str(base / f"lib{name}.so") for name in _TORCH_LIBRARIES if (base / f"lib{name}.so").exists())

    @lazily
    def providers(self) -> Providers:
        """Open libraries for symbol look-ups."""
        return Providers()

    @lazily
    def torch_flavour(self) -> str | None:
        """What ``torch/version.py`` says it is built for: ``"12.4"``, ``"rocm6.2"``, ``"cpu"``."""
        text = text_or_none(self.torch_site / "torch" / "version.py")
        if text is None:
            return None
        values = dict(re.findall(r"^(cuda|hip)\b[^=\n]*=\s*'([\w.-]+)'", text, re.MULTILINE))
        if "hip" in values:
            return "rocm" + ".".join(values["hip"].split(".")[:2])
        return values.get("cuda", "cpu") if values or "cuda" in text else None

    def objects_of(self, *owners: str) -> Iterator[Shared]:
        """The readable shared objects of some distributions."""
        return (shared for shared in self.objects if shared.owner in owners and shared.elf)

    def missing_symbols(self, shared: Shared, family: re.Pattern[bytes]) -> list[str]:
        """The symbols of a family that nothing would define when this object is imported after torch."""
        names = undefined(shared.path, family)
        if not names:  # of 700 objects a few have some, and what each would load takes 3 ms to find
            return []
        closure = self.loader.load(shared.path, self.torch_process.copy())
        libraries = [loaded.elf.path for loaded in closure.loaded.values()]
        return unresolved(names, [*libraries, *self.torch_libraries], self.providers)

    def missing_libraries(self, shared: Shared) -> list[tuple[str, str]]:
        """Libraries that would not be found when this object is imported after torch, with who needs each."""
        before = len(self.torch_process.missing)
        return self.loader.load(shared.path, self.torch_process.copy()).missing[before:]

    @lazily
    def lost_names(self) -> tuple[names.Lost, ...]:
        """Names that verl imports from the engines and from transformers and that are not there."""
        paths = [Path(entry) for entry in self.environment.get("PYTHONPATH", "").split(":") if entry]
        paths += [*self.site_paths, *(Path(added) for site in self.sites for added in site.added)]
        verl = next((path / "verl" for path in paths if (path / "verl" / "__init__.py").exists()), None)
        return tuple(names.lost_names(verl, paths, ("vllm", "sglang", "transformers"))) if verl else ()

    def is_module(self, path: str) -> bool:
        """Whether a shared object is an extension module, to be imported rather than loaded."""
        stem = path.rpartition("/")[2].partition(".")[0]
        return self.providers.defines(f"PyInit_{stem}".encode(), [path])

    def relative(self, path: str) -> str:
        """A path as evidence shows it: relative to the environment where it is inside."""
        return path.removeprefix(f"{self.prefix}/")

    def _version(self, sites: Sequence[Path]) -> str:
        """The Python of the interpreter by its name (``python3.10``), else that of the first directory of packages."""
        names = [self.interpreter.resolve().name, *(path.parent.name for path in sites)]
        versions = [name.removeprefix("python") for name in names if re.fullmatch(r"python3\.\d+", name)]
        there = [version for version in versions if any(path.parent.name == f"python{version}" for path in sites)]
        return (there or versions or ["3"])[0]

    def _object_paths(self) -> Iterator[tuple[str, str | None]]:
        """Recorded shared objects, then those that lie beside them or at the top without a record."""
        seen: set[str] = set()
        folders: set[Path] = set(map(Path, (str(path) for path in self.site_paths)))
        for owned in self.records:
            for path, _, _ in owned.entries:
                if ".so" in path and _SHARED.search(path):
                    full = Path(owned.distribution.site, path)
                    folders.add(full.parent)
                    if str(full) not in seen and full.exists():
                        seen.add(str(full))
                        yield str(full), owned.distribution.name
        for folder in sorted(folders):
            for beside in sorted(folder.glob("*.so*")) if folder.is_dir() else ():
                if str(beside) not in seen and _SHARED.search(beside.name):
                    yield str(beside), None


def _shared(path: str, owner: str | None) -> Shared:
    try:
        return Shared(path, owner, read_elf(path))
    except (ElfError, OSError) as error:
        return Shared(path, owner, None, str(error))
