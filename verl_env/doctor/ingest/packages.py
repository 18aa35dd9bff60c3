"""Packages from pasted lists: pip list, pip freeze, uv pip list, conda list, collect_env, installer output, prose.

Sources differ in strength. A list of what is installed decides; what an installer says that it installed comes next,
newest last; prose (``vllm: 0.8.5``) counts only for the packages of the stack and only where it is not contradicted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from verl_env.doctor.facts import parse_version

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = r"[A-Za-z][A-Za-z0-9._-]*"
_VERSION = r"\d[\w.!+-]*"
_TABLE_HEAD = re.compile(r"^\s*(?:#\s*)?(?:Package|Name)\s+Version\b", re.IGNORECASE)
_TABLE_ROW = re.compile(rf"^\s*(?:\|\s*)?(?P<name>_?{_NAME})\s+(?:\|\s*)?(?P<version>{_VERSION})(?P<rest>\s.*|\s*)$")
_RULE = re.compile(r"^[\s|:+-]+$")
_FREEZE = re.compile(
    rf"^\s*(?:\[pip3?\]\s*|\[conda\]\s*)?(?P<name>{_NAME})(?:\[[\w,-]+\])?==(?P<version>{_VERSION})\s*(?:;.*|#.*)?\\?$"
)
_DIRECT = re.compile(rf"^\s*(?P<name>{_NAME})\s+@\s+(?P<url>\S+)\s*$")
_EDITABLE = re.compile(rf"^-e\s+(?P<url>\S+)#egg=(?P<name>{_NAME})")
_CONDA_ROW = re.compile(rf"^\s*\[conda\]\s+(?P<name>{_NAME})\s+(?P<version>{_VERSION})\s")
_CHANGED = re.compile(rf"^\s*(?P<sign>[+~-])\s+(?P<name>{_NAME})==(?P<version>{_VERSION})(?:\s+\(from\b.*\))?\s*$")
_SUCCESS = re.compile(r"^\s*Successfully installed (?P<items>.+)$")
_SATISFIED = re.compile(
    rf"^\s*Requirement already satisfied: (?P<name>{_NAME})\S* in .*\((?P<version>{_VERSION})\)\s*$"
)
_SHOWN = re.compile(rf"^Name: (?P<name>{_NAME})\nVersion: (?P<version>{_VERSION})\s*$", re.MULTILINE)
_WHEEL_VERSION = re.compile(r"/(?P<name>[A-Za-z0-9_.]+)-(?P<version>\d[\w.!+]*)-(?:cp|py)\d[^/]*\.whl")

#: Names of packages of the stack as prose has them; ``_`` and ``-`` are one.
_SPOKEN = {
    name: name
    for name in """
    torch vllm verl sglang sgl-kernel sglang-kernel transformers flash-attn flashinfer-python flashinfer-cubin
    flashinfer-jit-cache ray numpy xformers tensordict click setuptools huggingface-hub torchvision torchaudio
    torchcodec triton triton-rocm pytorch-triton-rocm megatron-core megatron-bridge mbridge transformer-engine
    transformer-engine-torch transformer-engine-cu12 transformer-engine-cu13 opencv-python
    opencv-python-headless pynvml nvidia-ml-py vllm-ascend accelerate tokenizers xgrammar outlines outlines-core
    compressed-tensors cupy-cuda12x cupy-cuda13x torch-memory-saver torchao peft trl deepspeed apex deep-ep
    deep-gemm flash-attn-4 flash-attn-3 kernels nvidia-nccl-cu12 nvidia-nccl-cu13 nvidia-cudnn-cu12
    nvidia-cudnn-cu13 nvidia-nvshmem-cu12 nvidia-nvshmem-cu13 nvidia-cuda-runtime-cu12 nvidia-cuda-runtime
    nvidia-cuda-nvcc nvidia-cutlass-dsl cuda-python cuda-bindings aiter datasets safetensors pyarrow pydantic
    protobuf numba llguidance mistral-common kernels-data liger-kernel modelopt nvidia-modelopt
    flash-linear-attention causal-conv1d mamba-ssm grouped-gemm quack-kernels tilelang tvm-ffi apache-tvm-ffi
    amdsmi bitsandbytes lmdeploy
    """.split()  # noqa: SIM905
} | {
    "pytorch": "torch",
    "flash-attention": "flash-attn",
    "flashattention": "flash-attn",
    "flash attention": "flash-attn",
    "flash attn": "flash-attn",
    "flashattn": "flash-attn",
    "flashinfer": "flashinfer-python",
    "mcore": "megatron-core",
    "megatron core": "megatron-core",
    "transformerengine": "transformer-engine",
    "transformer engine": "transformer-engine",
}
_PROSE = re.compile(
    r"(?<![\w/.-])(?P<name>"
    + "|".join(re.escape(name).replace("\\-", "[-_]") for name in sorted(_SPOKEN, key=len, reverse=True))
    + r")(?![-_.]?[A-Za-z])(?:\s+(?:library |package )?(?:version|ver\.?|release|image|wheel)\b)?"
    r"(?:\s*(?:===?|=>|[:=@|]+)\s*|\s+)[*`\"']*v?(?P<version>\d+\.\d+(?:\.\w+)*(?:\+\w[\w.]*)?)(?![\w/])",
    re.IGNORECASE,
)
#: Words before a version that make it something that is asked for, compared with, or of another time.
_NOT_HERE = re.compile(
    r"(?:\b(?:compiled|builds?|built|linked|made|requires?|required|requiring|needs?|needed|wants?|wanted|expects?"
    r"|expected|depends? on|pins?|pinned|supports?|supported|upgrade|downgrade|until|since|before|prior to|than|instead"
    r" of|try|suggests?|work(?:s|ed)? (?:well |fine )?(?:with|on|in)|fixed (?:in|by)|introduced in|ABI of"
    r"|must be|should be|tested with|compatible with|incompatible with|switch(?:ing)? to|moving? to|install(?:ing)?"
    r"|wheels? (?:of|for)|for)|[<>~!]=?)\s*(?:[^.;,:|=\n()]|(?<=\d)\.(?=\d)){0,48}$",
    re.IGNORECASE,
)
#: Lines of a resolver that speak of what packages want, not of what is there.
_WANTED = re.compile(r"^.*(?:\bCollecting |\(from |Downloading |Using cached |depends on |requires? ).*$", re.MULTILINE)
_LEAST_ROWS = 4
_STATED_ROW = re.compile(rf"^\s*(?P<name>{_NAME})\s*:\s+(?:(?P<version>{_VERSION})(?:\s+\W.*)?|Module Not Found)\s*$")
_CONDA_EXPORT = re.compile(rf"^\s*-?\s*(?P<name>{_NAME})=(?P<version>{_VERSION})=[\w.]+$")
_LOCKED = re.compile(rf'^name = "(?P<name>{_NAME})"\s*\nversion = "(?P<version>{_VERSION})"', re.MULTILINE)
#: Projects of modules that have another name.
_OF_MODULE = {"pytorch": "torch", "flashinfer": "flashinfer-python", "zmq": "pyzmq", "multipart": "python-multipart"}


@dataclass
class Packages:
    """What a text says of packages: versions (None where not stated), addresses, and those that are there twice."""

    versions: dict[str, str | None] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    duplicates: dict[str, tuple[str, ...]] = field(default_factory=dict)


def read_packages(text: str) -> Packages:
    """The packages that a cleaned text says are installed."""
    found = Packages()
    lines = text.split("\n")
    found.versions.update(_prose(text))
    found.versions.update(_installed(lines))
    listed: dict[str, str] = {}
    for block in (*_stated(lines), *_tables(lines), list(_freeze(lines)), list(_shown(text))):
        _add(block, listed)
        found.duplicates.update(_twice(block))
    found.versions.update(listed)
    _direct(lines, found)
    return found


def _add(block: list[tuple[str, str]], listed: dict[str, str]) -> None:
    """A later list wins, unless it states the same version with less detail (``2.6.0`` after ``2.6.0+cu124``)."""
    for name, version in block:
        if not listed.get(name, "").startswith(f"{version}+"):
            listed[name] = version


def _twice(block: list[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Packages that one list of the installed packages holds in two versions."""
    versions: dict[str, dict[str, None]] = {}
    for name, version in block:
        versions.setdefault(name, {})[version] = None
    return {name: tuple(seen) for name, seen in versions.items() if len(seen) > 1}


def _stated(lines: list[str]) -> Iterator[list[tuple[str, str]]]:
    """Runs of ``module: version``, as SGLang's check_env prints them; the module's name is not always the project's."""
    block: list[tuple[str, str]] = []
    for line in [*lines, ""]:
        row = _STATED_ROW.match(line)
        if row is None:
            if len(block) >= _LEAST_ROWS:
                yield block
            block = []
        elif row["version"]:
            name = canonicalize_name(row["name"])
            block.append((_OF_MODULE.get(name, name), row["version"]))


def _shown(text: str) -> Iterator[tuple[str, str]]:
    """Blocks of ``pip show`` and of ``uv.lock``."""
    for match in (*_SHOWN.finditer(text), *_LOCKED.finditer(text)):
        yield canonicalize_name(match["name"]), match["version"]


def _tables(lines: list[str]) -> Iterator[list[tuple[str, str]]]:
    """Rows of pip list and conda list: a block below a header, or a run of rows without one (a truncated paste)."""
    block: list[tuple[str, str]] = []
    headed = False
    for line in [*lines, ""]:
        if _TABLE_HEAD.match(line):
            headed = True
            continue
        row = _TABLE_ROW.match(line)
        if row and _is_row(row):
            block.append((canonicalize_name(row["name"]), row["version"]))
        elif not (headed and not block and (_RULE.match(line) or not line.strip())):
            if headed or len(block) >= _LEAST_ROWS:
                yield block
            block, headed = [], False


def _is_row(row: re.Match[str]) -> bool:
    """Whether a line is a row: a real version, and behind it at most a path, a build, a channel."""
    rest = row["rest"].strip(" |")
    return parse_version(row["version"]) is not None and len(rest.split()) <= 3  # noqa: PLR2004  build, channel, note


def _freeze(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        match = _FREEZE.match(line) or _CONDA_ROW.match(line) or _CONDA_EXPORT.match(line)
        if match:
            yield canonicalize_name(match["name"]), match["version"]


def _installed(lines: list[str]) -> Iterator[tuple[str, str | None]]:
    """What an installer said that it did, in order."""
    for line in lines:
        if changed := _CHANGED.match(line):
            if changed["sign"] != "-":
                yield canonicalize_name(changed["name"]), changed["version"]
        elif done := _SUCCESS.match(line):
            for item in done["items"].split():
                name, _, version = item.rpartition("-")
                if name and parse_version(version):
                    yield canonicalize_name(name), version
        elif there := _SATISFIED.match(line):
            yield canonicalize_name(there["name"]), there["version"]


def _direct(lines: list[str], found: Packages) -> None:
    """Packages that were installed from an address: ``name @ url`` and ``-e url#egg=name``."""
    for line in lines:
        match = _DIRECT.match(line) or _EDITABLE.match(line)
        if match is None:
            continue
        name = canonicalize_name(match["name"])
        found.urls[name] = match["url"]
        wheel = _WHEEL_VERSION.search(match["url"].replace("%2B", "+"))
        if wheel:
            found.versions[name] = wheel["version"]
        else:
            found.versions.setdefault(name, None)


def _prose(text: str) -> Iterator[tuple[str, str]]:
    """Versions of the stack that prose states, where it states one version of a package and no other."""
    said: dict[str, set[str]] = {}
    for match in _PROSE.finditer(_WANTED.sub("", text)):
        start = match.string.rfind("\n", 0, match.start()) + 1
        if not _NOT_HERE.search(match.string[start : match.start()]):
            name = re.sub(r"[-_]", "-", match["name"].lower())
            said.setdefault(_SPOKEN[name], set()).add(match["version"].rstrip("."))
    for name, versions in said.items():
        public = {version.partition("+")[0] for version in versions}
        if len(public) == 1 and parse_version(min(public)) is not None:
            yield name, max(versions, key=len)
