"""The arguments of ``pip install``: what is asked for, and the options that go on to the installer."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.additions.model import ExtraRequirement, Wishes
from verl_env.constraints import parse_toml
from verl_env.environment.installed import normalise
from verl_env.environment.pins import address
from verl_env.errors import UsageError
from verl_env.reading import what_is
from verl_env.records import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HELP = "verl-env pip --help"

#: Options of both installers that are passed on, by the one name that both know; with a value, or without.
_VALUED = {
    "--index-url": "--index-url",
    "-i": "--index-url",
    "--extra-index-url": "--extra-index-url",
    "--find-links": "--find-links",
    "-f": "--find-links",
    "--no-binary": "--no-binary",
    "--only-binary": "--only-binary",
}
_FLAGS = {"--no-index"}
#: What matters only while versions are chosen.
_RESOLVING = {"--pre": "--pre", "--upgrade": "--upgrade", "-U": "--upgrade", "--no-deps": "--no-deps"}
_FILES = {"-r": "-r", "--requirement": "-r", "-c": "-c", "--constraint": "-c", "-e": "-e", "--editable": "-e"}
_SETTINGS = {"--allow-drift": "allow_drift", "--allow-builds": "allow_builds", "--dry-run": "dry_run"}
#: Taken without effect: they say how much is printed, or what is done anyway.
_IGNORED = {"-q", "--quiet", "-v", "--verbose", "-y", "--yes", "--no-input", "--disable-pip-version-check"}
#: Options of ``verl-env pip`` itself, with what stands for their value.
_BEFORE = {"--into": "DIR", "--json": ""}

_NAME = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\]\s*)?(?:$|[@<>=!~;(])")
_HASH = re.compile(r"(?<!\s)\s+--hash[= ](\S+)")
_ARCHIVE = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz")


class _Gathered:
    """What was read so far."""

    def __init__(self) -> None:
        self.wishes: list[ExtraRequirement] = []
        self.options: list[str] = []
        self.resolving: list[str] = []
        self.constraints: list[str] = []
        self.settings: dict[str, bool] = {}
        self.installer: str | None = None
        self.isolated = True
        self.wheelhouse: Path | None = None
        self.open: list[Path] = []


def parse_install(words: Sequence[str], directory: Path) -> Wishes:
    """Reads the words after ``pip install``.

    Args:
        words: The words.
        directory: What relative paths are relative to.

    Raises:
        UsageError: an option that is not known here, a file that cannot be read, or nothing to install.
    """
    gathered = _Gathered()
    _read(list(words), directory, gathered, nested=False)
    if not gathered.wishes:
        raise UsageError("nothing to install is named", command=HELP)
    wishes, builds = _merged(gathered.wishes), gathered.settings.get("allow_builds", False)
    return Wishes(
        wishes,
        (*(() if builds else wheels_only(wishes)), *gathered.options),
        tuple(gathered.resolving),
        tuple(gathered.constraints),
        installer="pip" if gathered.installer == "pip" else "uv" if gathered.installer else None,
        allow_drift=gathered.settings.get("allow_drift", False),
        dry_run=gathered.settings.get("dry_run", False),
        isolated=gathered.isolated,
        wheelhouse=gathered.wheelhouse,
        builds=builds,
    )


def _merged(wishes: Sequence[ExtraRequirement]) -> tuple[ExtraRequirement, ...]:
    """Each requirement once, with the hashes of all its lines."""
    hashes: dict[ExtraRequirement, dict[str, None]] = {}
    for wish in wishes:
        hashes.setdefault(replace(wish, hashes=()), {}).update(dict.fromkeys(wish.hashes))
    return tuple(replace(wish, hashes=tuple(found)) for wish, found in hashes.items())


def wheels_only(wishes: Sequence[ExtraRequirement]) -> tuple[str, ...]:
    """Options that allow no source distribution to be built but those that are named.

    A source whose name nobody knows before its own code has said it allows all: neither installer can be told less.
    """
    names = [wish.name or _project(wish) for wish in wishes if wish.is_source]
    if None in names:
        return ()
    return ("--only-binary", ":all:", *(word for name in names if name for word in ("--no-binary", name)))


def parse_uninstall(words: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """The names after ``pip uninstall``, and whether pins may go.

    Raises:
        UsageError: an option that is not known here, or nothing to remove.
    """
    names = []
    for word in words:
        if not word.startswith("-"):
            names.append(normalise(word))
        elif word not in _IGNORED and word not in _SETTINGS:
            raise _not_taken("uninstall", word)
    if not names:
        raise UsageError("nothing to uninstall is named", command=HELP)
    return tuple(dict.fromkeys(names)), "--allow-drift" in words


def parse_wish(text: str, directory: Path, *, editable: bool = False) -> ExtraRequirement:
    """One requirement, path or address; paths become absolute.

    Raises:
        UsageError: it is none of these.
    """
    path = _path(text, directory)
    if path is not None or editable:
        place = str(path or (directory / text).absolute())
        return ExtraRequirement(os.path.normpath(place), None, editable)
    if "://" in text.partition("@")[0] or text.startswith("git+"):
        return ExtraRequirement(text, None)
    named = _NAME.match(text)
    if named is None:
        raise UsageError(f"{text!r} is no requirement, path or address", command=HELP)
    return ExtraRequirement(text, normalise(named[1]))


def _read(words: list[str], directory: Path, gathered: _Gathered, *, nested: bool) -> None:
    """Takes one word after the other; in a requirements file no settings of ours can stand."""
    while words:
        word, given, value = words.pop(0).partition("=")
        if not word.startswith("-"):
            gathered.wishes.append(parse_wish(f"{word}{given}{value}", directory))
        elif word in _FILES:
            _file(_FILES[word], _value(word, given, value, words), directory, gathered)
        elif word in _VALUED:
            value = _value(word, given, value, words)
            is_directory = _VALUED[word] == "--find-links" and "://" not in value
            gathered.options += [_VALUED[word], address((directory / value).absolute()) if is_directory else value]
        elif word == "--wheelhouse" and not nested:
            gathered.wheelhouse = _directory(_value(word, given, value, words), directory)
            gathered.options += ["--find-links", address(gathered.wheelhouse)]
        elif word == "--installer" and not nested:
            gathered.installer = _installer(_value(word, given, value, words))
        elif not _flag(word, gathered, nested=nested):
            raise _not_taken("install", word)


def _not_taken(command: str, word: str) -> UsageError:
    """An option that is none of these; those of ``verl-env pip`` itself stand before the command."""
    option = word.partition("=")[0]
    if option not in _BEFORE:
        return UsageError(f"verl-env pip {command} does not take {word}", command=HELP)
    before = " ".join(filter(None, [option, _BEFORE[option]]))
    return UsageError(f"{option} stands before {command}: verl-env pip {before} {command} ...", command=HELP)


def _flag(word: str, gathered: _Gathered, *, nested: bool) -> bool:
    if word in _FLAGS:
        gathered.options.append(word)
    elif word in _RESOLVING:
        gathered.resolving.append(_RESOLVING[word])
    elif word == "--no-build-isolation":
        gathered.isolated = False
    elif word in _SETTINGS and not nested:
        gathered.settings[_SETTINGS[word]] = True
    else:
        return word in _IGNORED
    return True


def _file(kind: str, value: str, directory: Path, gathered: _Gathered) -> None:
    if kind == "-e":
        gathered.wishes.append(parse_wish(value, directory, editable=True))
        return
    path = (directory / Path(value).expanduser()).absolute()
    if kind == "-c":
        gathered.constraints.append(str(path))
        return
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}", command=HELP) from error
    if path.resolve() in gathered.open:
        raise UsageError(f"{path} includes itself", command=HELP)
    gathered.open.append(path.resolve())
    for words, hashes in _lines(text):
        if not hashes:
            _read(words, path.parent, gathered, nested=True)
            continue
        wish = parse_wish(words[0], path.parent)
        if wish.name is None:
            raise UsageError(f"{path}: --hash goes with a name: NAME @ {wish.text}", command=HELP)
        gathered.wishes.append(replace(wish, hashes=hashes))
    gathered.open.pop()


def _lines(text: str) -> Iterator[tuple[list[str], tuple[str, ...]]]:
    """The lines of a requirements file: a requirement is one word, with its hashes; an option and its value are two."""
    for line in text.replace("\\\n", " ").splitlines():
        plain = re.sub(r"(^|\s)#.*$", "", line).strip()
        if plain.startswith("-"):
            yield plain.split(None, 1) if "=" not in plain.split()[0] else [plain], ()
        elif plain:
            yield [_HASH.sub("", plain)], tuple(_HASH.findall(plain))


def _project(wish: ExtraRequirement) -> str | None:
    """The name of a source: what a checkout's pyproject.toml or a source distribution's file says."""
    if wish.text.endswith(_ARCHIVE):
        from packaging.utils import InvalidSdistFilename, parse_sdist_filename  # noqa: PLC0415

        with contextlib.suppress(InvalidSdistFilename):
            return str(parse_sdist_filename(wish.text.rpartition("/")[2])[0])
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return normalise(parse_toml(Path(wish.text.partition("[")[0], "pyproject.toml"))["project"]["name"])
    return None


def _value(word: str, given: str, value: str, words: list[str]) -> str:
    """The value of an option: after ``=``, or the next word."""
    if given:
        return value
    if not words:
        raise UsageError(f"{word} needs a value", command=HELP)
    return words.pop(0)


def _directory(value: str, directory: Path) -> Path:
    path = (directory / Path(value).expanduser()).absolute()
    if not path.is_dir():
        raise UsageError(f"--wheelhouse {value}: {path} is {what_is(path)}, and a directory is wanted", command=HELP)
    return path


def _installer(name: str) -> str:
    if name not in {"uv", "pip"}:
        raise UsageError(f"--installer {name} is none of uv and pip", command=HELP)
    return name


def _path(text: str, directory: Path) -> Path | None:
    """The absolute path that a text names; None where it is something else."""
    plain, bracket, extras = text.partition("[")
    looks = plain.startswith((".", "/", "~")) or (plain.endswith(_ARCHIVE) and "://" not in plain)
    if not looks:
        return None
    path = (directory / os.path.expanduser(plain)).absolute()  # noqa: PTH111 (pathlib refuses a user there is not)
    if not path.exists():
        raise UsageError(f"there is no {path}", command=HELP)
    return path.with_name(f"{path.name}{bracket}{extras}") if bracket else path
