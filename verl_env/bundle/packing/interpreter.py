"""The interpreter of a packed prefix: a copy that finds everything from where it lies."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

from verl_env.binaries.elf import ElfError, read_elf
from verl_env.bundle.packing.errors import PackImpossibleError
from verl_env.machine.child import Completed, run
from verl_env.records import record

_SECONDS = 60.0
_QUESTION = """
import json, os, site, sys, sysconfig
print(json.dumps({"prefix": sys.base_prefix, "executable": os.path.realpath(sys.executable),
    "stdlib": sysconfig.get_path("stdlib"), "include": sysconfig.get_path("include"),
    "dynload": os.path.dirname(__import__("math").__file__) if hasattr(__import__("math"), "__file__") else "",
    "libdir": sysconfig.get_config_var("LIBDIR") or "", "library": sysconfig.get_config_var("INSTSONAME") or "",
    "packages": os.path.basename(site.getsitepackages()[-1])}))
"""
#: What of the standard library no environment needs, and what belongs to the donor's own packages.
_LEFT = ("site-packages", "dist-packages", "test", "idlelib", "turtledemo", "ensurepip", "__pycache__")
_CONFIG = "include-system-site-packages = false\n"
_MANAGED = """[externally-managed]
Error=This prefix was packed by verl-env and is whole as it is. Make another environment: verl-env install.
"""
RUNPATH = "$ORIGIN/../lib"
_SITE = "site-packages"


@record
class Donor:
    """An interpreter as it says itself where its parts are; ``library`` is "" where it has no libpython of its own.

    ``packages`` is what it calls its directory of packages: ``dist-packages`` where it is Debian's.
    """

    prefix: str
    executable: str
    stdlib: str
    include: str
    dynload: str
    libdir: str
    library: str
    packages: str = _SITE


def ask(python: Path, environment: Path) -> Donor:
    """Where the parts of an interpreter are.

    Raises:
        PackImpossibleError: it does not start.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    outcome = run([str(python), "-I", "-c", _QUESTION], deadline=time.monotonic() + _SECONDS, env=env)
    if not isinstance(outcome, Completed) or outcome.returncode != 0:
        raise PackImpossibleError(
            environment, f"its interpreter {python} does not start", "repair it: verl-env install"
        )
    return Donor(**json.loads(outcome.stdout))


def copy_interpreter(donor: Donor, python: str, prefix: Path) -> None:
    """Copies an interpreter into a prefix that can be anywhere.

    Args:
        donor: The interpreter.
        python: Its minor release, ``"3.12"``.
        prefix: The directory; it is empty.

    Raises:
        PackImpossibleError: its path to libpython cannot be made relative.
    """
    name = f"python{python}"
    for folder in ("bin", "lib", f"include/{name}"):
        (prefix / folder).mkdir(parents=True, exist_ok=True)
    shutil.copytree(
        donor.stdlib, prefix / "lib" / name, symlinks=False, ignore=shutil.ignore_patterns(*_LEFT, "*.pyc", "config-*")
    )
    if donor.dynload and not donor.dynload.startswith(donor.stdlib):
        shutil.copytree(donor.dynload, prefix / "lib" / name / "lib-dynload", dirs_exist_ok=True)
    _copy_config(Path(donor.stdlib), prefix / "lib" / name)
    if Path(donor.include).is_dir():
        shutil.copytree(donor.include, prefix / "include" / name, dirs_exist_ok=True)
    shutil.copy2(donor.executable, prefix / "bin" / name)
    for link in ("python", "python3"):
        (prefix / "bin" / link).symlink_to(name)
    relative(prefix / "bin" / name)
    for library in _libraries(donor):
        shutil.copy2(library, prefix / "lib" / library.name)
        relative(prefix / "lib" / library.name)
    for module in (prefix / "lib" / name / "lib-dynload").glob("*.so"):
        # They name the donor's libraries too, and would take those of a host that has something at that place.
        relative(module)
    if donor.packages != _SITE:
        (prefix / "lib" / name / donor.packages).symlink_to(_SITE)
    (prefix / "pyvenv.cfg").write_text(_CONFIG, encoding="utf-8")
    (prefix / "lib" / name / "EXTERNALLY-MANAGED").write_text(_MANAGED, encoding="utf-8")


def relative(path: Path) -> None:
    """Makes the way of an ELF object to its libraries relative to itself, in place: the text only gets shorter.

    Raises:
        PackImpossibleError: the way that it has is too short for that.
    """
    try:
        info = read_elf(path)
    except ElfError:
        return
    content = path.read_bytes()
    for old in {*info.runpath, *info.rpath}:
        if old.startswith("$ORIGIN"):
            continue
        joined = ":".join(info.runpath or info.rpath)
        found = f"\0{joined}\0".encode()
        if content.count(found) != 1 or len(joined) < len(RUNPATH):
            hint = "take a Python that was built with a relative path, or one without libpython: uv python install"
            raise PackImpossibleError(path, f"its path to its libraries ({joined}) cannot be made relative", hint)
        new = b"\0" + RUNPATH.encode().ljust(len(joined), b"\0") + b"\0"
        mode = path.stat().st_mode
        path.unlink()
        path.write_bytes(content.replace(found, new))
        path.chmod(mode)
        return


def _libraries(donor: Donor) -> list[Path]:
    """libpython, where the executable needs one."""
    try:
        needed = [name for name in read_elf(donor.executable).needed if name.startswith("libpython")]
    except ElfError:
        needed = []
    places = [Path(donor.libdir), Path(donor.prefix, "lib"), Path("/usr/lib/x86_64-linux-gnu"), Path("/usr/lib64")]
    found = []
    for name in needed:
        path = next((place / name for place in places if os.path.isfile(place / name)), None)  # noqa: PTH113
        if path is None:
            raise PackImpossibleError(Path(donor.executable), f"its {name} is not found", "take another Python")
        found.append(path)
    return found


def _copy_config(stdlib: Path, to: Path) -> None:
    """The configuration that ``sysconfig`` reads; the objects beside it are for who embeds an interpreter."""
    for folder in stdlib.glob("config-*"):
        makefile = folder / "Makefile"
        if makefile.is_file():
            (to / folder.name).mkdir(exist_ok=True)
            shutil.copy2(makefile, to / folder.name / "Makefile")
