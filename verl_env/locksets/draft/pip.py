"""What a command of pip or uv asks for, in the words of a recipe's step."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from verl_env.locksets.draft.shell import assignments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.locksets.draft.shell import ShellCommand

#: Options of pip and uv that take a value in the next word; what is not here and begins with ``-`` takes none.
_VALUED = frozenset(
    {
        *("-e", "--editable", "-i", "--index-url", "--extra-index-url", "--default-index", "--index"),
        *("-f", "--find-links", "-r", "--requirement", "-c", "--constraint", "-P", "--upgrade-package"),
        *("--config-settings", "-C", "--config-setting", "--global-option", "--build-option", "--install-option"),
        *("--no-binary", "--only-binary", "--no-binary-package", "--no-build-isolation-package", "--reinstall-package"),
        *("--resume-retries", "--retries", "--timeout", "--default-timeout", "--trusted-host", "--cert", "--proxy"),
        *("-t", "--target", "--prefix", "--root", "--python", "-p", "--platform", "--python-version", "--src", "--log"),
        *("--index-strategy", "--torch-backend", "--cache-dir", "--progress-bar", "--exists-action", "--exclude-newer"),
        *("--upgrade-strategy", "--root-user-action", "--override", "--overrides"),
    }
)
#: Options that change what is installed in a way that a recipe's step has no key for.
_SAID = frozenset(
    {
        *("-r", "--requirement", "-e", "--editable", "--extra-index-url", "--index", "-c", "--constraint"),
        *("--config-settings", "-C", "--global-option", "--build-option", "--ignore-installed", "--pre"),
        *("-t", "--target", "--prefix", "--root"),
    }
)
_PIP = re.compile(r"(?:.*/)?pip(?:\d(?:\.\d+)?)?")
_PYTHON = re.compile(r"(?:.*/)?python(?:\d(?:\.\d+)?)?(?:\.sh)?")


@dataclass
class PipStep:
    """One ``pip install`` or ``pip uninstall``.

    ``built`` are what it builds or takes by address: (name or None, version or None, address). ``env`` is what the
    shell sets for it; ``unread`` are words that say something else: a file of requirements, a path.
    """

    install: list[str] = field(default_factory=list)
    unquoted: list[str] = field(default_factory=list)
    uninstall: list[str] = field(default_factory=list)
    built: list[tuple[str | None, str | None, str]] = field(default_factory=list)
    upgrade: bool = False
    no_deps: bool = False
    isolated: bool = True
    find_links: list[str] = field(default_factory=list)
    index_url: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)


def pip_step(command: ShellCommand, fetched: dict[str, str]) -> PipStep | None:
    """The step that a command is; None where it is no installation.

    ``fetched`` are the files that earlier commands brought, by name: a wheel of that name was taken by its address.
    """
    found = _arguments(command.words)
    if found is None:
        return None
    env, action, start = found
    step = PipStep(env=env)
    words = iter(range(start, len(command.words)))
    for place in words:
        word, written = command.words[place], command.cut.get(place)
        if word.startswith("-"):
            name, _, value = word.partition("=")
            if word[:2] in {"-e", "-r", "-i", "-f", "-c"} and len(word) > 2:  # noqa: PLR2004  value in the same word
                name, value = word[:2], word[2:]
            if name in _VALUED and not value:
                value = next((command.words[other] for other in words), "")
            _option(step, name, value)
        elif action == "uninstall":
            step.uninstall.append(word)
        else:
            _requirement(step, word, written, fetched)
    return step


def _arguments(words: Sequence[str]) -> tuple[dict[str, str], str, int] | None:
    """The variables before the program, its action, and where its arguments begin."""
    place = next((place for place, word in enumerate(words) if not _before(word)), len(words))
    env = assignments(words[:place])
    rest = list(words[place:])
    if rest[:1] and _PYTHON.fullmatch(rest[0]) and "-m" in rest[:4]:
        place += rest.index("-m") + 1
    if list(words[place : place + 2]) == ["uv", "pip"]:
        place += 1
    if place >= len(words) or not _PIP.fullmatch(words[place]):
        return None
    action = next((other for other in range(place + 1, len(words)) if not words[other].startswith("-")), place)
    return (env, words[action], action + 1) if words[action] in {"install", "uninstall"} else None


def _before(word: str) -> bool:
    """Whether a word stands before the program: a variable that is set for it, or a program that starts another."""
    return word in {"export", "sudo", "env", "time"} or re.match(r"\w+=", word) is not None


def _option(step: PipStep, name: str, value: str) -> None:
    if name in {"-U", "--upgrade"}:
        step.upgrade = True
    elif name == "--no-deps":
        step.no_deps = True
    elif name in {"--no-build-isolation", "-no-build-isolation"}:
        step.isolated = False
    elif name in {"-i", "--index-url", "--default-index"}:
        step.index_url = value
    elif name in {"-f", "--find-links"}:
        step.find_links.append(value)
    elif name in _SAID:
        step.unread.append(f"{name} {value}".strip())


def project_of(address: str) -> str:
    """The name of a repository, as its address ends."""
    return re.sub(r"\.git$", "", address.rstrip("/").rsplit("/", 1)[-1])


def _requirement(step: PipStep, word: str, written: str | None, fetched: dict[str, str]) -> None:
    name = word.rsplit("/", 1)[-1]
    if "git+" in word:
        own = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*@\s*git\+", word)
        plain, _, fragment = word[word.index("git+") :].partition("#")
        said = dict(part.partition("=")[::2] for part in fragment.split("&"))
        address, _, ref = plain.rpartition("@")
        pinned = bool(address) and "/" not in ref
        inside = said.get("subdirectory", "")
        project = project_of(address if pinned else plain)
        folder = inside.rstrip("/").rsplit("/", 1)[-1]
        name = own[1] if own else said.get("egg") or (project if folder in {"", "python", "src"} else folder)
        whole = plain + (f"#subdirectory={inside}" if inside else "")
        step.built.append((name, ref if pinned else None, whole))
    elif word.startswith(("http://", "https://")) or (name in fetched and name.endswith((".whl", ".tar.gz"))):
        address = word if "://" in word else fetched[name]
        step.built.append((*_of_file(address), address))
    elif word in {".", ".."} or word.startswith(("./", "../", "/", "~", "$")) or word.endswith((".whl", ".txt")):
        step.unread.append(word)
    else:
        try:
            Requirement(word)
        except InvalidRequirement:
            step.unread.append(word)
            return
        step.install.append(written or word)
        if written:
            step.unquoted.append(written)


def _of_file(address: str) -> tuple[str | None, str | None]:
    name = unquote(urlsplit(address).path.rsplit("/", 1)[-1])
    try:
        project, version = parse_wheel_filename(name)[:2]
    except InvalidWheelFilename:
        return name.partition("-")[0] if name.endswith(".whl") and "$" not in name.partition("-")[0] else None, None
    return str(project), str(version)
