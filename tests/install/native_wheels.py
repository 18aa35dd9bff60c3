"""Wheels of native components with real ELF files in them, and environments with a torch to judge them against."""

import sys
import zipfile
from pathlib import Path

STRING = {True: "NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE", False: "Ss"}
FLASH_ATTN = "flash_attn-2.7.4.post1+cu12torch2.6cxx11abi{abi}-cp310-cp310-linux_x86_64.whl"
MODULE = "flash_attn_2_cuda.cpython-310-x86_64-linux-gnu.so"


def error(new_abi):
    """The constructor of ``c10::Error`` from a string, as libc10 of either C++ ABI exports it."""
    return f"_ZN3c105ErrorC2ENS_14SourceLocationE{STRING[new_abi]}"


def functions(*names):
    return "\n".join(f"void {name}(void) {{}}" for name in names)


def users(*names):
    declared = "\n".join(f"void {name}(void);" for name in names)
    calls = " ".join(f"{name}();" for name in names)
    return f"{declared}\nvoid use_them(void) {{ {calls} }}\nvoid *PyInit_flash_attn_2_cuda(void) {{ return 0; }}"


class Makers:
    """Makes libraries, objects and wheels below a directory."""

    def __init__(self, directory: Path, compile_so):
        self.directory = directory
        self.compile_so = compile_so

    def library(self, soname, source="", version=None, script="", folder="stubs"):
        """A library with a SONAME; with a version, all that it exports is of that version."""
        path = self.directory / folder / soname
        flags = ["-nostdlib", f"-Wl,-soname,{soname}"]
        if version or script:
            text = script or f"{version} {{ global: *; }};"
            map_file = self.directory / f"{soname}.map"
            map_file.write_text(text)
            flags.append(f"-Wl,--version-script={map_file}")
        return self.compile_so(path, source or functions(f"from_{soname.replace('.', '_').replace('+', 'x')}"), *flags)

    def module(self, *symbols, libraries=(), source="", name=MODULE):
        """The module of flash-attn, which needs symbols and libraries."""
        linked = [flag for library in libraries for flag in ("-Wl,--no-as-needed", str(library))]
        flags = ["-nostdlib", "-Wl,--allow-shlib-undefined", "-Wl,-z,undefs", *linked]
        return self.compile_so(self.directory / "objects" / name, users(*symbols) + source, *flags)

    def wheel(self, objects, name=None):
        return pack(self.directory / (name or FLASH_ATTN.format(abi="FALSE")), objects)

    def site(self, *, abi, torch="2.6.0", cuda="12.4", extra=()):
        """The site-packages of an environment with a torch of one C++ ABI."""
        prefix = self.directory / f"env-{torch}-{abi}"
        site = prefix / "lib" / "python3.10" / "site-packages"
        lib = site / "torch" / "lib"
        self.compile_so(lib / "libc10.so", functions(error(abi), *extra), "-nostdlib", "-Wl,-soname,libc10.so")
        (site / "torch" / "version.py").write_text(
            f"__version__ = '{torch}+cu{cuda.replace('.', '')}'\ndebug = False\ncuda: Optional[str] = '{cuda}'\n"
        )
        (prefix / "bin").mkdir()
        (prefix / "bin" / "python").symlink_to(sys.executable)
        return site


def pack(path, files, *, compression=zipfile.ZIP_DEFLATED):
    """A wheel; ``files`` maps paths inside to files or bytes, or is a list of files for its top."""
    named = files if isinstance(files, dict) else {file.name: file for file in files}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for inside, content in named.items():
            archive.writestr(inside, content.read_bytes() if isinstance(content, Path) else content)
        archive.writestr("flash_attn-2.7.4.post1.dist-info/METADATA", "Name: flash-attn\nVersion: 2.7.4.post1\n")
        archive.writestr("flash_attn-2.7.4.post1.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    return path
