"""A small catalogue of invented components, as TOML files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.components.compile import compiled_text

if TYPE_CHECKING:
    from pathlib import Path

FAST = """
schema = 1
name = "fast-thing"
imports = "fast_thing"

[templates.wheel]
arch = "x86_64"
cuda = "12"
source = "the release page"

[templates.build]
source = "sdist"
requires = ["setuptools", "ninja"]
sources = ["its setup.py"]

[templates.build.env]
MAX_JOBS = "{jobs}"

[templates.forced]
like = "build"
job_bytes = 3_000_000_000

[templates.forced.env]
FORCE = "1"

[[releases]]
version = "2.0"
minimum_gpu = "8.0"

[[releases.wheels]]
like = "wheel"
url = "https://example.test/fast_thing-2.0+cu12torch2.7cxx11abiFALSE-{cp}-{cp}-linux_x86_64.whl"
pythons = ["3.10", "3.12"]
torch = "2.7"
torch_also = ["2.8"]
cxx11abi = true
glibc = "2.32"
sha256 = { "3.12" = "DIGEST" }

[[releases.wheels]]
like = "wheel"
url = "https://example.test/fast_thing-2.0-cp38-abi3-linux_x86_64.whl"
pythons = ["3.10", "3.11"]
sha256 = "DIGEST"

[[releases.recipes]]
like = "forced"
sha256 = "DIGEST"

[[releases.recipes.tools]]
name = "nvcc"
same_major_as = "cuda"
exact = true
reason = "it says so"

[[releases]]
version = "1.0"

[[releases.recipes]]
like = "build"
source = "git+https://example.test/fast.git@v1"
torch = false
product = "prefix"
commands = [["make", "prefix={prefix:fast-thing}"]]
links = { "{site}/liba.so" = "liba.so.1" }
""".replace("DIGEST", "ab" * 32)

TOOLCHAIN = """
schema = 1

[[compilers]]
cuda = ["12.0", "12.1"]
gcc_below = "13"
source = "a table"

[[compilers]]
cuda = ["12.4"]
source = "nobody knows"

[[capabilities]]
capability = "7.0"
minimum = "9.0"
maximum = "12.9"
source = "a table"

[[capabilities]]
capability = "10.0"
minimum = "12.8"
source = "a table"

[[abi]]
torch = "2.0"
cxx11abi = false
source = "a table"

[[abi]]
torch = "2.6"
cuda = "12.4"
cxx11abi = false
source = "a table"

[[abi]]
torch = "2.6"
cuda = "12.6"
cxx11abi = true
source = "a table"

[[abi]]
torch = "2.7"
cxx11abi = true
source = "a table"
"""

PLAIN = """
schema = 1
name = "plain"

[[releases]]
version = "3"

[[releases.recipes]]
source = "git+https://example.test/plain.git"
sources = ["its page"]
"""


def write(root: Path, *, compiled: bool = False, **files: str) -> Path:
    """A folder of constraints with the sample components, and more or other files by name; it is returned."""
    folder = root / "components"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {"fast-thing": FAST, "plain": PLAIN, "toolchain": TOOLCHAIN, **files}.items():
        (folder / f"{name}.toml").write_text(text)
    if compiled:
        (root / "components.json").write_text(compiled_text(root))
    return root
