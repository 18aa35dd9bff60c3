"""The instructions of a Dockerfile that say what an image holds: FROM, ARG, ENV and RUN, those of its last stage.

A definition file of Apptainer is read as one too: ``%post`` is its RUN, ``%environment`` its ENV.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from verl_env.locksets.draft.shell import expand

if TYPE_CHECKING:
    from collections.abc import Mapping

_INSTRUCTION = re.compile(r"\s*([A-Za-z]+)\s+(.*)", re.DOTALL)
_CONTINUED = re.compile(r"\\\s*$")
#: A file that is copied from another stage, and not a folder with what is installed in it.
_FILE = re.compile(r"\.[A-Za-z]\w*$")
#: What BuildKit sets for the architecture that a draft is for, once a stage asks for it.
_PLATFORM = {"TARGETARCH": "amd64", "TARGETOS": "linux", "TARGETPLATFORM": "linux/amd64"}
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")


@dataclass
class Image:
    """What a Dockerfile says: ``runs`` are the scripts of RUN in order, ``others`` what it copies or adds.

    Of each script its text, the variables that are set for it, and the folder where it begins.
    """

    base: str | None = None
    arguments: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    runs: list[tuple[str, dict[str, str], PurePosixPath]] = field(default_factory=list)
    folder: PurePosixPath = field(default_factory=lambda: PurePosixPath("/"))
    others: list[str] = field(default_factory=list)


def read_dockerfile(text: str) -> Image:
    """The image of the last stage, with what the stages that it builds upon or copies from did before it."""
    if re.search(r"^%post\b", text, re.MULTILINE):
        return _definition(text)
    stages: dict[str, Image] = {}
    image = Image()
    first: dict[str, str] = {}
    for name, rest in _instructions(text):
        if name == "FROM":
            words = [word for word in expand(rest, {**first, **image.arguments}).split() if not word.startswith("--")]
            if image.base is None and not stages:
                first = dict(image.arguments)
            parent = stages.get(words[0].lower()) if words else None
            image = _copied(parent) if parent else Image(base=words[0] if words else None)
            image.arguments = {**first, **image.arguments} if parent else dict(first)
            if len(words) > 2 and words[1].upper() == "AS":  # noqa: PLR2004  FROM x AS y
                stages[words[2].lower()] = image
        elif name in {"ARG", "ENV"}:
            _set(image, name, rest)
        elif name == "WORKDIR":
            image.folder /= expand(rest.strip("\"'"), {**image.arguments, **image.environment})
        elif name == "RUN":
            image.runs.append((_script(rest), {**image.arguments, **image.environment}, image.folder))
        elif name in {"COPY", "ADD"}:
            image.others.append(f"{name} {' '.join(rest.split())}")
            image.runs += [run for run in _brought(rest, stages) if run not in image.runs]
    return image


def _brought(rest: str, stages: Mapping[str, Image]) -> list[tuple[str, dict[str, str], PurePosixPath]]:
    """What ran in the stage that a COPY takes a folder from."""
    source = re.search(r"--from=(\S+)\s+(?:--\S+\s+)*(\S+)", rest)
    stage = stages.get(source[1].lower()) if source and not _FILE.search(source[2]) else None
    return list(stage.runs) if stage else []


def _definition(text: str) -> Image:
    """The image of a definition file of Apptainer."""
    head, *parts = re.split(r"^%(\w+)\b[^\n]*\n", text, flags=re.MULTILINE)
    base = re.search(r"^From:?\s+(\S+)", head, re.MULTILINE | re.IGNORECASE)
    image = Image(base[1] if base else None)
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        if name == "post":
            image.runs.append((re.sub(r"\\\n", " ", body), {}, image.folder))
        elif name == "environment":
            for key, value in re.findall(r"^[ \t]*export[ \t]+(\w+)=(.*)$", body, re.MULTILINE):
                image.environment[key] = value.strip().strip("\"'")
    return image


def _copied(image: Image) -> Image:
    known = (dict(image.arguments), dict(image.environment), list(image.runs), image.folder, list(image.others))
    return Image(image.base, *known)


def _instructions(text: str) -> list[tuple[str, str]]:
    """Names in upper case with what follows them: continued lines joined, comments between them left out."""
    found, lines = [], iter(text.splitlines())
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        whole = line
        while _CONTINUED.search(whole):
            whole = _CONTINUED.sub("", whole)
            for more in lines:
                if more.strip() and not more.lstrip().startswith("#"):
                    whole += " " + more.strip()
                    break
            else:
                break
        for _, end in _HEREDOC.findall(whole):
            for body in lines:
                whole += "\n" + body
                if body.strip() == end:
                    break
        if match := _INSTRUCTION.match(whole):
            found.append((match[1].upper(), match[2].strip()))
    return found


def _set(image: Image, name: str, rest: str) -> None:
    known = {**image.arguments, **image.environment}
    pairs = [rest.split(None, 1)] if name == "ENV" and "=" not in rest.split(None, 1)[0] else []
    try:
        words = shlex.split(rest)
    except ValueError:
        return
    pairs = pairs or [word.split("=", 1) for word in words if "=" in word]
    pairs += [[word, _PLATFORM[word]] for word in words if name == "ARG" and word in _PLATFORM]
    for key, value in (pair for pair in pairs if len(pair) == 2):  # noqa: PLR2004  name and value
        (image.arguments if name == "ARG" else image.environment)[key] = expand(value, known)


def _script(rest: str) -> str:
    """The shell's script: options of RUN taken off, the list form written out, a here-document its own body."""
    while rest.startswith("--"):
        rest = rest.partition(" ")[2].lstrip()
    if rest.startswith("["):
        try:
            return shlex.join(json.loads(rest))
        except (ValueError, TypeError):
            return rest
    if match := re.match(r"<<-?\s*(['\"]?)(\w+)\1\s*\n", rest):
        return rest[match.end() :].rsplit("\n", 1)[0]
    return rest
