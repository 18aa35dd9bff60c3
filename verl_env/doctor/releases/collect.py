"""Makes the table of releases from an index: ``verl-env lock --releases`` runs it.

Polite on purpose: one page for each project, then one small metadata file (PEP 658, or a range of a wheel) for each
release that the table does not have yet, a few at a time. Releases never change: the next one is one request away.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from packaging.metadata import parse_email
from packaging.utils import canonicalize_name
from packaging.version import Version

from verl_env.doctor.releases.table import FILE, USUAL_EXTRAS, requirement
from verl_env.locksets.errors import IndexUnreachableError
from verl_env.locksets.web import fetch
from verl_env.locksets.wheelfacts import wheel_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from verl_env.locksets.index import Index, IndexFile

SCHEMA = 1
#: The projects whose releases are read.
PROJECTS = (
    "vllm",
    "sglang",
    "torch",
    "transformer-engine",
    "flash-attn",
    "megatron-core",
    "mbridge",
    "ray",
    "transformers",
)
#: Packages of whose requirements the table speaks; prefixes end with a dash.
WATCHED = frozenset(
    """
    torch torchvision torchaudio torchcodec torchao triton transformers tokenizers huggingface-hub safetensors numpy
    flashinfer-python flashinfer-cubin flashinfer-jit-cache sgl-kernel sglang-kernel xgrammar outlines outlines-core
    llguidance xformers compressed-tensors ray flash-attn flash-attn-4 cuda-python cuda-toolkit cuda-bindings
    torch-memory-saver kernels mistral-common opencv-python-headless setuptools click protobuf pydantic fastapi
    quack-kernels tilelang apache-tvm-ffi nvidia-cutlass-dsl transformer-engine transformer-engine-torch
    transformer-engine-cu12 transformer-engine-cu13 megatron-core opentelemetry-sdk opentelemetry-api numba
    """.split()  # noqa: SIM905
)
WATCHED_PREFIXES = ("nvidia-", "vllm-")
_EXTRA = re.compile(r"""extra\s*==\s*["']([\w-]+)""")
#: Requests at a time.
_ABREAST = 4
_SAMPLE = 20


def collect(
    index: Index, known: Mapping[str, Any], *, projects: Sequence[str] | None = None, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """The rows of every final release, by project and version; rows that are known are kept.

    Args:
        index: The index.
        known: Rows that there are already.
        projects: The projects that are asked for; all by default.
        say: Told once for each project.

    Raises:
        IndexUnreachableError: a page or the metadata of a release cannot be read.
    """
    table: dict[str, Any] = {}
    for project in PROJECTS if projects is None else projects:
        files = by_release(index.files(project))
        rows = {version: row for version, row in known.get(project, {}).items() if version in files}
        fresh = [version for version in files if version not in rows]
        say(f"{project}: {len(files)} releases, {len(fresh)} not read yet")
        with ThreadPoolExecutor(_ABREAST) as pool:
            rows.update(zip(fresh, pool.map(row_of, [files[version] for version in fresh]), strict=True))
        table[project] = {version: rows[version] for version in sorted(rows, key=Version)}
    return table


def by_release(files: Sequence[IndexFile]) -> dict[str, list[IndexFile]]:
    """The files of final releases by version."""
    found: dict[str, list[IndexFile]] = {}
    for file in files:
        if file.release and not file.release[1].is_prerelease:
            found.setdefault(str(file.release[1]), []).append(file)
    return found


def row_of(files: Sequence[IndexFile]) -> dict[str, Any]:
    """The row of one release.

    Raises:
        IndexUnreachableError: the index fails while its metadata is read.
    """
    times = sorted(file.uploaded for file in files if file.uploaded)
    row: dict[str, Any] = {"date": times[0][:10] if times else None}
    metadata = _metadata(files)
    if metadata is None:
        return {**row, "python": None, "requires": None}
    stated, _ = parse_email(metadata)
    asked = (" ".join(line.split()) for line in stated.get("requires_dist", ()))
    return {**row, "python": stated.get("requires_python"), "requires": sorted(filter(watched, asked))}


def _metadata(files: Sequence[IndexFile]) -> str | None:
    """The core metadata of one wheel of a release, that for Linux first; None where a release has none.

    The index serves it beside most wheels; out of the others it is read by ranges.
    """
    wheels = sorted((file for file in files if file.is_wheel), key=preference)
    if not wheels:
        return None
    try:
        return fetch(f"{wheels[0].url}.metadata").content.decode("utf-8", "replace")
    except IndexUnreachableError as error:
        if error.passing:
            raise
    return wheel_facts(wheels[0]).metadata


def preference(file: IndexFile) -> tuple[bool, bool, str]:
    """What wheels of a release are sorted by, those for Linux on x86_64 first."""
    return ("linux" not in file.name and "none-any" not in file.name, "x86_64" not in file.name, file.name)


def watched(line: str) -> bool:
    """Whether a requirement is of a package that the table speaks of, and not of an extra that few take."""
    parsed = requirement(line)
    if parsed is None:
        return False
    name, extras = canonicalize_name(parsed.name), _EXTRA.findall(line)
    usual = not extras or any(extra in USUAL_EXTRAS for extra in extras)
    return usual and (name in WATCHED or name.startswith(WATCHED_PREFIXES))


def read(file: Path = FILE) -> dict[str, Any]:
    """The rows of a table that was written; none where there is no file."""
    return dict(json.loads(file.read_text(encoding="utf-8"))["projects"]) if file.is_file() else {}


def text_of(projects: Mapping[str, Any], day: str) -> str:
    """The text of the table: one release on a line, so that a difference shows what came."""
    parts = []
    for project, rows in projects.items():
        lines = ",\n".join(f"{json.dumps(version)}: {json.dumps(row)}" for version, row in rows.items())
        parts.append(f"{json.dumps(project)}: {{\n{lines}\n}}")
    head = f'{{"schema": {SCHEMA}, "read": {json.dumps(day)}, "rules": {json.dumps(_rules())}, "projects": {{\n'
    return head + ",\n".join(parts) + "\n}}\n"


def _rules() -> str:
    """Changes when the watched packages do: then every row must be read again."""
    return hashlib.sha256(" ".join((*sorted(WATCHED), *WATCHED_PREFIXES, *USUAL_EXTRAS)).encode()).hexdigest()[:12]


def write(index: Index, day: str, *, file: Path = FILE, say: Callable[[str], None] = print) -> int:
    """Brings the table up to date and returns how many rows are new.

    Raises:
        IndexUnreachableError: the index fails.
    """
    known = read(file) if _same_rules(file) else {}
    table = collect(index, known, say=say)
    file.write_text(text_of(table, day), encoding="utf-8")
    return sum(len(set(rows) - set(known.get(project, {}))) for project, rows in table.items())


def _same_rules(file: Path) -> bool:
    return file.is_file() and json.loads(file.read_text(encoding="utf-8")).get("rules") == _rules()


def differences(index: Index, *, file: Path = FILE, sample: int = _SAMPLE, seed: int | None = None) -> tuple[str, ...]:
    """Releases that the table lacks, and rows of a random sample that are not what the index says.

    Raises:
        IndexUnreachableError: the index fails.
    """
    table = read(file)
    pages = {project: by_release(index.files(project)) for project in PROJECTS}
    lacking = [
        f"{name} {one} is not in the table"
        for name, there in pages.items()
        for one in there
        if one not in table.get(name, {})
    ]
    rows = [(name, version) for name, there in table.items() for version in there if version in pages.get(name, {})]
    drawn = random.Random(seed).sample(rows, min(sample, len(rows)))  # noqa: S311  no secret
    wrong = [
        f"{name} {one} is not what the index says"
        for name, one in drawn
        if row_of(pages[name][one]) != table[name][one]
    ]
    return (*lacking, *wrong)
