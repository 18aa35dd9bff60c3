"""The check of a wheel before it lands, beside inflating the same objects with zlib and unpacking them to disk.

    python benchmarks/landing.py [WHEEL...] [--site SITE-PACKAGES] [--runs N]

Without a wheel one in the shape of flash-attn's is made: one module whose GPU code is 430 MB of instructions that
repeat one another, about 180 MB in the wheel (needs gcc, and a minute or two). Each way runs in a process of its own,
N times (5), in turn; printed are the least wall time, the least processor time, and the highest memory. With --site the
wheel is judged against the torch there too.
"""

from __future__ import annotations

import argparse
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

#: flash-attn's wheels of 2.7.4.post1 weigh about 180 MB.
GPU_CODE, RECORD = 430 << 20, 2 << 20
WAYS = {
    "check": "from verl_env.binaries.wheel import read_wheel; read_wheel(sys.argv[1])",
    "zlib": """
import re, struct, zipfile, zlib
archive, file = zipfile.ZipFile(sys.argv[1]), open(sys.argv[1], 'rb')
for member in archive.infolist():
    if re.search(r'\\.so[.\\d]*$', member.filename):
        file.seek(member.header_offset)
        file.seek(sum(struct.unpack_from('<HH', file.read(30), 26)), 1)
        left, inflater = member.compress_size, zlib.decompressobj(-15)
        while left:
            chunk = file.read(min(left, 1 << 18))
            left -= len(chunk)
            inflater.decompress(chunk)
""",
    "unpack": """
import re, tempfile, zipfile
archive = zipfile.ZipFile(sys.argv[1])
with tempfile.TemporaryDirectory() as folder:
    for member in archive.infolist():
        if re.search(r'\\.so[.\\d]*$', member.filename):
            archive.extract(member, folder)
""",
    "landing": """
import sysconfig
from pathlib import Path
from verl_env.wheels.errors import NativeMismatchError
from verl_env.wheels.validation import Site, check_landing
site = Path(sys.argv[2])
try:
    with Site(site, site.parent.name.removeprefix('python'), sysconfig.get_platform().partition('-')[2]) as place:
        check_landing(Path(sys.argv[1]), 'it', '', place)
    print('accepted', file=sys.stderr)
except NativeMismatchError as error:
    print(error.reason, file=sys.stderr)
""",
}
AROUND = """
import resource, sys, time
start, used = time.perf_counter(), time.process_time()
{}
print(time.perf_counter() - start, time.process_time() - used, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("wheels", nargs="*", type=Path)
    parser.add_argument("--site", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for wheel in asked.wheels or [flash_attn_like(Path(folder))]:
            show(wheel, asked.site, asked.runs)


def show(wheel: Path, site: Path | None, runs: int) -> None:
    objects = [member for member in zipfile.ZipFile(wheel).infolist() if ".so" in member.filename]
    packed, whole = (sum(getattr(member, size) for member in objects) / 1e6 for size in ("compress_size", "file_size"))
    print(f"{wheel.name}: objects of {packed:.0f} MB, {whole:.0f} MB inflated")
    ways = {name: code for name, code in WAYS.items() if site or name != "landing"}
    turns = [{name: once(code, wheel, site) for name, code in ways.items()} for _ in range(runs)]
    for name in ways:
        wall, used, kib, said = zip(*(turn[name] for turn in turns), strict=True)
        print(f"  {name:8} wall {min(wall):5.2f} s  cpu {min(used):5.2f} s  {max(kib) / 1024:4.0f} MiB  {said[0]}")


def once(code: str, wheel: Path, site: Path | None) -> tuple[float, float, int, str]:
    argv = [sys.executable, "-c", AROUND.format(code), str(wheel), str(site)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    wall, used, kib = done.stdout.split()
    return float(wall), float(used), int(kib), done.stderr.strip()


def flash_attn_like(folder: Path) -> Path:
    start = time.perf_counter()
    if shutil.which("gcc") is None:
        sys.exit("needs gcc, or the path of a wheel")
    module = folder / "flash_attn_2_cuda.cpython-310-x86_64-linux-gnu.so"
    with (folder / "fatbin").open("wb") as file:
        for seed in range(GPU_CODE // RECORD):
            file.write(gpu_code(random.Random(seed)))
    source = f'asm(".section .nv_fatbin,\\"a\\"\\n.balign 8\\n.incbin \\"{folder}/fatbin\\"\\n.text");'
    names = [f"_ZN3c10{len(name)}{name}Ev" for name in (f"function{i}" for i in range(400))]
    source += "".join(f"void {name}(void);" for name in names)
    source += f"void *PyInit_flash_attn_2_cuda(void) {{ {' '.join(f'{name}();' for name in names)} return 0; }}"
    (folder / "module.c").write_text(source)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", module, folder / "module.c"], check=True)
    wheel = folder / "flash_attn-2.7.4.post1+cu12torch2.6cxx11abiFALSE-cp310-cp310-linux_x86_64.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(module, module.name)
        archive.writestr("flash_attn-2.7.4.post1.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    print(f"made in {time.perf_counter() - start:.0f} s")
    return wheel


def gpu_code(chance: random.Random) -> bytes:
    """One record of machine code: 16 bytes an instruction, its operands different and its form seen before."""
    forms = [chance.randbytes(10) for _ in range(256)]
    size = RECORD - 96
    text = b"".join(chance.choice(forms) + chance.randbytes(4) + b"\0\x0f" for _ in range(size // 16))
    entry = struct.pack("<HHIQ12xI", 2, 0x101, 64, len(text), 90).ljust(64, b"\0") + text
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(entry)) + entry


if __name__ == "__main__":
    main()
