"""Who raised: the frame of a traceback that is nearest to a message, and whose file it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from verl_env.doctor.releases.known import OF_MODULE
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator

_FRAME = re.compile(r'^\s*File "(?P<path>[^"\n]+)"(?:, line (?P<line>\d+))?(?:, in (?P<name>[^\n]+))?')
#: How much of a text before a message is its traceback.
_REACH = 12_000
_HEAD = "Traceback (most recent call last)"
#: Frames that pass a call, a raise or a result on, and say nothing of who is at fault.
_PASSED_ON = re.compile(
    r"^<|/importlib/|/runpy\.py$|/multiprocessing/|/concurrent/futures/|/asyncio/|/contextlib\.py$|/threading\.py$"
)
_INSTALLED = re.compile(r"(?:site|dist)-packages/(?P<top>\w+)(?:/(?P<part>\w+))?[/.]")
#: Modules that several distributions bring parts of, and who brings which; ``""`` is the rest.
_SHARED = {
    "google": {"protobuf": "protobuf", "api": "googleapis-common-protos", "auth": "google-auth"},
    "opentelemetry": {
        "sdk": "opentelemetry-sdk",
        "semconv": "opentelemetry-semantic-conventions",
        "exporter": "opentelemetry-exporter-otlp",
        "instrumentation": "opentelemetry-instrumentation",
        "": "opentelemetry-api",
    },
    "nvidia": {"dali": "nvidia-dali"},
    "megatron": {"bridge": "megatron-bridge", "": "megatron-core"},
    "cutlass": {"": "nvidia-cutlass-dsl"},
}
#: Checkouts: the directory of sources that a module's path ends with.
_CHECKOUT = re.compile(
    r"/(?P<top>vllm|sglang|verl|megatron|transformers|transformer_engine|flash_attn|flashinfer|deepspeed|trl|swift|aiter"
    r"|deep_ep|mbridge|nemo_rl|slime|ray|torch|triton|apex)/(?!.*/(?:vllm|sglang|verl|megatron|swift|slime)/\w+)"
)


@record
class Frame:
    """One frame: its file, its line and function as far as they are stated, and the distribution that has the file."""

    path: str
    line: str | None
    name: str | None
    package: str | None

    def __str__(self) -> str:
        short = re.sub(r"^.*/(?:site|dist)-packages/", "", self.path)
        place = f"{short}:{self.line}" if self.line else short
        return f"{place} in {self.name}" if self.name and self.name != "<module>" else place


def distribution(module: str) -> str:
    """The distribution that brings a module, by the name of the module, dotted or not."""
    top, _, rest = module.partition(".")
    parts = _SHARED.get(top, {})
    name = parts.get(rest.partition(".")[0]) or parts.get("") or canonicalize_name(top)
    return OF_MODULE.get(name, name)


def frames_of(match: re.Match[str]) -> tuple[Frame, ...]:
    """The frames of the traceback that a message ends, outermost first; none where the message is of no traceback."""
    start = match.string.rfind("\n", 0, match.start()) + 1
    before = match.string[max(0, start - _REACH) : start]
    before = before[before.rfind(_HEAD) + len(_HEAD) :] if _HEAD in before else before
    return tuple(_frames(before))


def raised_in(match: re.Match[str]) -> Frame | None:
    """The frame that raised what a match says, where it stands right above."""
    start = match.string.rfind("\n", 0, match.start()) + 1
    before = match.string[max(0, start - _REACH) : start].split("\n")[:-1]
    block: list[str] = []
    for line in reversed(before):
        if not line.startswith((" ", "\t")):
            break
        block.append(line)
    frames = [one for one in _frames("\n".join(reversed(block))) if not _PASSED_ON.search(one.path)]
    return frames[-1] if frames else None


def _frames(text: str) -> Iterator[Frame]:
    for line in text.split("\n"):
        if (found := _FRAME.match(line)) is not None:
            yield Frame(found["path"], found["line"], found["name"], _package(found["path"]))


def _package(path: str) -> str | None:
    found = _INSTALLED.search(path) or _CHECKOUT.search(path)
    if found is None:
        return None
    part = found.groupdict().get("part")
    return distribution(f"{found['top']}.{part}" if part else found["top"])
