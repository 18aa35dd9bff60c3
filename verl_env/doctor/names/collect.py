"""Makes the table of names from an index: ``verl-env lock --names`` runs it.

Of each wheel the Python sources are read, of those after the first only what changed. Kept is what tells releases
apart: what went, and modules and names that came; members and arguments that came and stayed would double the table.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import Version

from verl_env.doctor.names import scan
from verl_env.doctor.names.scan import names_of
from verl_env.doctor.names.spans import owners, spans_of, written
from verl_env.doctor.names.table import FOLDER, SCHEMA, Surface, surface
from verl_env.doctor.names.wheel import ABREAST, sources, texts
from verl_env.doctor.releases.collect import by_release, preference
from verl_env.places import user_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from verl_env.doctor.names.spans import Spans
    from verl_env.doctor.names.wheel import WheelSource
    from verl_env.locksets.index import Index, IndexFile

    #: What tells a source from another: its checksum, its size, and whether it is the ``__init__`` of a package.
    _Mark = tuple[int, int, bool]
    #: The address of a wheel, and its sources that are read.
    _Listed = tuple[str, tuple[WheelSource, ...]]

#: The projects, and the first release of each that is read.
SINCE = {
    "vllm": "0.8.2",
    "sglang": "0.4.5",
    "torch": "2.4",
    "transformers": "4.48",
    "flashinfer-python": "0.2.3",
    "ray": "2.40",
    "megatron-core": "0.9",
    "mbridge": "0.1",
    "transformer-engine": "1.11",
    "tensordict": "0.6",
    "peft": "0.13",
    "trl": "0.14",
    "verl": "0.2",
    "triton": "3.0",
    "protobuf": "4.25",
    "huggingface-hub": "0.26",
    "accelerate": "1.0",
    "datasets": "2.20",
    "compressed-tensors": "0.8",
    "sgl-kernel": "0.0.5",
    "xgrammar": "0.1.8",
    "opentelemetry-api": "1.25",
    "opentelemetry-sdk": "1.25",
    "kernels": "0.1",
    "torch-memory-saver": "0.0.5",
}
#: Sources that nobody imports, that are copies of other packages, and models that no engine or trainer reaches into.
_ASIDE = re.compile(
    r"(?:^|/)(?:tests?|testing|benchmarks?|examples?|third_party|_vendor|thirdparty_files|vendored)/"
    r"|^torch/(?:onnx|ao|jit|distributions|_refs|_decomp)/"
    r"|^transformers/models/(?!auto|qwen|llama|deepseek|glm|gemma|mi[sx]tral|gpt_oss|siglip|clip|__init__)"
)
#: Parts of a project that nobody else's code reaches into.
_INSIDE = {
    "torch": r"^torch/(?:_inductor/(?:codegen|fx_passes|kernel|runtime|template)|_export|export"
    r"|fx/(?:passes|experimental)|masked|package|quantization|sparse|special|signal|fft|utils/(?:benchmark|tensorboard|model_dump|bottleneck)"
    r"|_(?:numpy|lazy|prims|functorch|higher_order_ops|subclasses|vendor)|backends/(?:_nnapi|_coreml)|monitor|profiler)/",
    "ray": r"^ray/(?:rllib|tune|serve|dashboard|data|autoscaler|train|air|workflow|llm|cluster_utils|widgets|dag)/",
    "sglang": r"^sglang/(?:multimodal_gen|lang|eval|cli|jit_kernel)/",
    "flashinfer-python": r"^flashinfer/(?:data|experimental|trace|kda_kernels|fused_moe/(?:backends|cute_dsl|cake\w*)"
    r"|moe_ep/(?:kernel_src|backends)|(?:attention/)?prims_ts|cute_dsl|gemm/kernels)/|^build_utils",
    "transformers": r"^transformers/(?:pipelines|onnx|commands|cli|sagemaker|data)/",
}
#: Models by the hundred, of whose classes only configurations are asked for by others.
_MODELS = re.compile(r"^transformers/models/(?!auto/)")
_SAMPLE = 6
_CONFIG = re.compile(r"\w*(?:Config|Tokenizer\w*|Processor)[.(]")


def write(index: Index, day: str, *, only: Sequence[str] = (), say: Callable[[str], None] = print) -> int:
    """Makes the tables of projects with new releases anew and returns how many releases are new.

    Raises:
        IndexUnreachableError: the index fails.
    """
    fresh = 0
    for project in only or SINCE:
        files, known = _files(index, project), surface(project)
        read = known.releases if known is not None and known.rules == rules(project) else ()
        if new := len(set(files) - set(read)):
            say(f"{project}: {new} of {len(files)} releases not read yet")
            (FOLDER / f"{project}.gz").write_bytes(packed(_read(project, files), day))
            fresh += new
    return fresh


def differences(index: Index, *, sample: int = _SAMPLE, seed: int | None = None) -> tuple[str, ...]:
    """Releases that the tables lack, and releases of a random sample whose names are not what the index's wheel has.

    Raises:
        IndexUnreachableError: the index fails.
    """
    pages = {project: _files(index, project) for project in SINCE}
    tables = {project: surface(project) or Surface(project) for project in SINCE}
    lacking = [
        f"{project} {version} is not in the table"
        for project, files in pages.items()
        for version in files
        if version not in tables[project].releases
    ]
    rows = [(project, version) for project, table in tables.items() for version in table.releases]
    drawn = random.Random(seed).sample(rows, min(sample, len(rows)))  # noqa: S311  no secret
    wrong = [
        f"{project} {version} has other names"
        for project, version in drawn
        if version in pages[project] and not _agrees(tables[project], version, pages[project][version])
    ]
    return (*lacking, *wrong)


def _agrees(table: Surface, version: str, file: IndexFile) -> bool:
    """Whether a wheel has what the table says of its release, of all that the table speaks of."""
    place, there = table.releases.index(version), keys_of(file.url, table.project, {})
    said = {key for key, spans in table.spans.items() if any(first <= place <= last for first, last in spans)}
    return said == there & table.spans.keys()


def _files(index: Index, project: str) -> dict[str, IndexFile]:
    """One wheel of each release that is read, oldest first."""
    found: dict[str, IndexFile] = {}
    for version, files in sorted(by_release(index.files(project)).items(), key=lambda one: Version(one[0])):
        wheels = sorted((file for file in files if file.is_wheel), key=preference)
        if wheels and Version(version) >= Version(SINCE.get(project, "0")):
            found[version] = wheels[0]
    return found


def _read(project: str, files: Mapping[str, IndexFile]) -> Surface:
    """Every key of every release, with its spans."""
    scanned, places = recalled(project), dict[str, list[int]]()
    try:
        with ThreadPoolExecutor(ABREAST) as pool:
            for place, there in enumerate(pool.map(lambda file: _listed(file.url, project), files.values())):
                for key in _keys_of(there, scanned):
                    places.setdefault(key, []).append(place)
    finally:
        remember(project, scanned)
    return Surface(project, tuple(files), {key: spans_of(there) for key, there in places.items()})


def recalled(project: str) -> dict[_Mark, frozenset[str]]:
    """What earlier runs found in the sources of a project, so that one that was cut off is not done again."""
    try:
        rows = json.loads(gzip.decompress(_memory(project).read_bytes()))
    except (OSError, EOFError, ValueError):
        return {}
    return {(crc, size, package): frozenset(names) for crc, size, package, names in rows}


def remember(project: str, scanned: Mapping[_Mark, frozenset[str]]) -> None:
    """Keeps what was found in the sources of a project for the next run."""
    rows = [[*mark, sorted(names)] for mark, names in scanned.items()]
    file = _memory(project)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(json.dumps(rows).encode(), 1))


def _memory(project: str) -> Path:
    rules_of_reading = hashlib.sha256(Path(scan.__file__).read_bytes()).hexdigest()[:12]
    return user_directory("XDG_CACHE_HOME") / "verl-env" / "names" / f"{project}-{rules_of_reading}.json.gz"


def keys_of(url: str, project: str, scanned: dict[_Mark, frozenset[str]]) -> frozenset[str]:
    """Every key of a wheel: ``module``, and ``module:name`` with what ``scan`` finds.

    Args:
        url: The wheel.
        project: Whose it is.
        scanned: What was found in sources of other wheels; those of this one are added.

    Raises:
        IndexUnreachableError: it cannot be read.
    """
    return _keys_of(_listed(url, project), scanned)


def _keys_of(listed: _Listed, scanned: dict[_Mark, frozenset[str]]) -> frozenset[str]:
    url, there = listed
    wanted = {_mark(one): one for one in there if _mark(one) not in scanned}
    for one, text in texts(url, tuple(wanted.values())):
        scanned[_mark(one)] = names_of(text, package=one.path.endswith("/__init__.py")) or frozenset()
    return frozenset(key for one in there for key in _keys(one, scanned[_mark(one)]))


def _listed(url: str, project: str) -> _Listed:
    """A wheel's address and those of its sources that are read; none of one that is no archive."""
    inside = re.compile(_INSIDE.get(project, "(?!)"))
    try:
        there = sources(url)
    except zipfile.BadZipFile:
        return url, ()
    aside = (one for one in there if not _ASIDE.search(one.path) and ".data/" not in one.path)
    return url, tuple(one for one in aside if not inside.search(one.path))


def _mark(one: WheelSource) -> _Mark:
    return (*one.same, one.path.endswith("/__init__.py"))


def _keys(one: WheelSource, names: frozenset[str]) -> Iterator[str]:
    module = one.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    yield module
    few = _MODELS.search(one.path) is not None
    yield from (f"{module}:{name}" for name in names if not few or name.isidentifier() or _CONFIG.match(name))


def packed(table: Surface, day: str) -> bytes:
    """A table as it is kept: what has the same spans together, by module."""
    groups: dict[Spans, dict[str, list[str]]] = {}
    for key, spans in table.spans.items():
        if _telling(key, spans, len(table.releases)) and not _with_its_owner(key, spans, table.spans):
            module, _, name = key.partition(":")
            groups.setdefault(spans, {}).setdefault(module, []).append(name or ".")
    head = [f"names {SCHEMA} {table.project} {day} {rules(table.project)}", " ".join(table.releases)]
    return gzip.compress("\n".join((*head, *_lines(groups), "")).encode(), 9, mtime=0)


def _lines(groups: Mapping[Spans, Mapping[str, Sequence[str]]]) -> Iterator[str]:
    for spans in sorted(groups):
        yield f"={written(spans)}"
        for module, names in sorted(groups[spans].items()):
            yield f"{module} {' '.join(sorted(names))}"


def _telling(key: str, spans: Spans, releases: int) -> bool:
    """Whether a key tells releases apart: it went, or came and is a module or a public name."""
    if spans[-1][1] < releases - 1:
        return True
    name = key.partition(":")[2]
    return spans != ((0, releases - 1),) and not name.startswith("_") and "." not in name and "(" not in name


def _with_its_owner(key: str, spans: Spans, every: Mapping[str, Spans]) -> bool:
    """Whether a member or an argument says no more than its class or its function does."""
    owner = next((one for one in owners(key) if one in every), None)
    return owner is not None and every[owner] == spans


def rules(project: str) -> str:
    """Changes when what is read of a release does: then all are read again."""
    own = (_INSIDE[project],) if project in _INSIDE else ()
    said = (project, SINCE.get(project, "0"), _ASIDE.pattern, _MODELS.pattern, _CONFIG.pattern, *own)
    return hashlib.sha256(" ".join(said).encode()).hexdigest()[:12]
