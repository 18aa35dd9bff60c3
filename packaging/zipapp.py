"""Makes verl-env with all that it depends on one file, which any Python of its list can start.

    python packaging/zipapp.py [-o dist/verl-env.pyz] [--python 3.10 ...] [--platform x86_64-manylinux_2_28]

What is the same for every Python is in it once. The same wheels give the same bytes. uv is not in it: installations
from it go by pip, or by a uv of the node.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from verl_env.uv_program import uv_program

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
#: What no start needs: scripts name the interpreter that they were installed for.
LEFT_OUT = ("bin/", "share/")


def main() -> int:
    """Writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "dist" / "verl-env.pyz")
    parser.add_argument("--python", action="append", help="repeatable")
    parser.add_argument("--platform", default="x86_64-manylinux_2_28")
    args = parser.parse_args()
    uv = uv_program()
    if uv is None:
        sys.exit("uv is needed: pip install uv")
    pythons = tuple(args.python or PYTHONS)
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", room / "wheel", ROOT], check=True)
        (wheel,) = (room / "wheel").glob("*.whl")
        found = {}
        for python in pythons:
            to = room / python
            what = ["--target", to, "--python-version", python, "--python-platform", args.platform]
            subprocess.run([uv, "pip", "install", "--quiet", *what, "--only-binary", ":all:", wheel], check=True)
            found[python] = contents(to)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    write(args.output, shared(found), pythons)
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.1f} MB, for Python {', '.join(pythons)}")
    return 0


def contents(directory: Path) -> dict[str, bytes]:
    """The files of an installed tree by name, but what names this host or is compiled."""
    files = {path.relative_to(directory).as_posix(): path for path in directory.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in files.items()
        if not name.startswith(LEFT_OUT)
        and "__pycache__" not in name
        and not name.endswith((".dist-info/direct_url.json", ".dist-info/uv_cache.json", ".lock"))
    }


def shared(found: dict[str, dict[str, bytes]]) -> dict[str, bytes]:
    """The entries of the archive: below ``all/`` what is the same for each Python, the rest below ``only-X.Y/``."""
    first, *others = found.values()
    same = {name for name, data in first.items() if all(other.get(name) == data for other in others)}
    entries = {f"all/{name}": first[name] for name in same}
    for python, files in found.items():
        entries |= {f"only-{python}/{name}": data for name, data in files.items() if name not in same}
    return entries


def write(output: Path, entries: dict[str, bytes], pythons: tuple[str, ...]) -> None:
    """Writes the archive: sorted, without times, behind the line that makes it a program."""
    digest = hashlib.sha256()
    for name, data in sorted(entries.items()):
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    start = (Path(__file__).parent / "zipapp_main.py").read_bytes()
    head = {"__main__.py": start, "digest": digest.hexdigest()[:20].encode(), "pythons": " ".join(pythons).encode()}
    with output.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with ZipFile(file, "w", ZIP_DEFLATED) as archive:
            for name, data in [*head.items(), *sorted(entries.items())]:
                info = ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                info.create_system, info.external_attr, info.compress_type = 3, 0o100644 << 16, ZIP_DEFLATED
                archive.writestr(info, data)
    output.chmod(0o755)


if __name__ == "__main__":
    sys.exit(main())
