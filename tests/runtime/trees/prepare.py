"""Fetches what the e2e tests run on: vLLM's source without its compiled parts, and a Python that can import it.

    python tests/runtime/trees/prepare.py FOLDER [VERSION...]

Makes ``FOLDER/<version>`` for each version (wheels of 300 to 500 MB, one after another; only source and metadata are
kept), ``FOLDER/python`` with CPU torch, ``FOLDER/transformers-4.57`` and ``FOLDER/transformers-5`` for later versions,
and releases of verl; 3 GB in all. Needs uv and pip. Then: ``VERL_ENV_TREES=FOLDER pytest tests/runtime -m e2e``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

VERSIONS = [
    "0.8.2", "0.8.3", "0.8.4", "0.8.5.post1", "0.10.0", "0.10.2", "0.11.0", "0.11.2", "0.12.0", "0.13.0",
    "0.16.0", "0.18.0", "0.20.2", "0.24.0", "0.26.0", "0.27.0", "0.28.0", "0.30.0", "0.31.0", "0.33.0",
]  # fmt: skip
PLATFORMS = ["manylinux1_x86_64", "manylinux_2_28_x86_64", "manylinux_2_31_x86_64", "manylinux_2_35_x86_64"]
KEPT = (".py", ".json")
PACKAGES = [
    "torch==2.13.0", "numpy<2", "transformers==4.51.3", "triton", "pydantic", "msgspec", "cloudpickle",
    "psutil", "pyzmq", "pillow", "blake3", "cachetools", "py-cpuinfo", "aiohttp", "openai", "gguf", "fastapi",
    "cbor2", "pybase64", "setproctitle", "compressed-tensors", "openai_harmony", "uvloop", "xgrammar",
    "partial-json-parser", "llguidance", "prometheus_client", "einops", "mistral_common", "diskcache", "pytest",
    "hypothesis", "packaging", "safetensors", "ray", "tensordict", "codetiming", "hydra-core", "dill",
    "torchdata", "setuptools<81", "huggingface_hub<1.0",
    "lm-format-enforcer", "pandas<2.3", "pyarrow", "datasets",
    "peft", "accelerate",
]  # fmt: skip
VERL = ("0.4.1", "0.6.1", "0.7.0", "0.8.0", "0.9.1")
LATER = {
    "transformers-4.57": ["transformers==4.57.3", "tokenizers==0.22.1"],
    "transformers-5": ["transformers>=5.16.1,<5.21", "tokenizers", "huggingface_hub"],
}


def main():
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for version in sys.argv[2:] or VERSIONS:
        fetch(folder / version, version)
    for version in VERL:
        fetch(folder / f"verl-{version}", version, "verl")
    python = folder / "python" / "bin" / "python"
    if not python.exists():
        run("uv", "venv", "-q", "--python", "3.11", folder / "python")
        run("uv", "pip", "install", "-q", "--python", python, *PACKAGES)
    for name, packages in LATER.items():
        if not (folder / name).exists():
            run("uv", "pip", "install", "-q", "--python", python, "--no-deps", "--target", folder / name, *packages)


def fetch(tree, version, package="vllm"):
    """Downloads one wheel and keeps its source."""
    if tree.exists():
        return
    part = tree.with_name(tree.name + ".part")
    with tempfile.TemporaryDirectory(dir=tree.parent) as folder:
        platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
        run(
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--only-binary=:all:",
            *platforms,
            "--python-version",
            "3.12",
            "--dest",
            folder,
            f"{package}=={version}",
        )
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            kept = [name for name in wheel.namelist() if name.endswith(KEPT) or ".dist-info/" in name]
            wheel.extractall(part, kept)
    part.rename(tree)


def run(*argv):
    subprocess.run(argv, check=True)


if __name__ == "__main__":
    main()
