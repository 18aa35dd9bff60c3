"""The pins of an environment, where uv and pip find them when users run these themselves.

``verl-env-constraints.txt`` in the environment holds them without hashes, for with a hash in it pip wants one for
everything. ``pip.conf`` names it, and beside it the directory of the wheels that were read against the environment
(``wheelhouse.py``), of each of which the constraints hold the version: pip reads that file in the root of a virtual
environment. All of them speak of the path that users name, which stays when a new generation is put in force.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.environment.files import replace_bytes
from verl_env.environment.wheelhouse import FOLDER, wheels_in
from verl_env.reading import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping


FILE = "verl-env-constraints.txt"
PIP_CONF = "pip.conf"

_HEAD = """\
# The pins of {lockset}, written by verl-env. pip reads this file (see pip.conf here); for uv: UV_CONSTRAINT.
# To add packages under these pins: verl-env pip install NAME. To move a pin: verl-env pip install --allow-drift NAME.
"""
#: The commands of pip that take constraints; under ``[global]`` the others would be asked for an option they lack.
_SECTIONS = ("install", "download", "wheel")
_OPTION, _LINKS = "constraint", "find-links"
_PIN = re.compile(r"([A-Za-z0-9._-]+)==(\S+)")


def write_pins(environment: Path, path: Path, lockset: str, pins: Mapping[str, str], old: Path | None) -> None:
    """Writes both files into an environment.

    Args:
        environment: Where the files go.
        path: The path that users name.
        lockset: The id of the lockset.
        pins: Names and versions.
        old: The environment that this one takes the place of; what its pip.conf says beside is kept.
    """
    (environment / FOLDER).mkdir(exist_ok=True)
    held = {name: version for name, (version, _) in wheels_in(environment).items() if name not in pins}
    lines = [f"{name}=={version}\n" for name, version in pins.items()]
    # What follows a version keeps it from being read as a pin of what is installed.
    lines += [f"{name}=={version}  # not installed; its wheel lies in {FOLDER}\n" for name, version in held.items()]
    replace_bytes(environment / FILE, (_HEAD.format(lockset=lockset) + "".join(lines)).encode())
    before = "" if old is None else _read(old / PIP_CONF)
    replace_bytes(environment / PIP_CONF, pip_conf(before, constraint_address(path), links_address(path)).encode())


def read_pins(environment: Path) -> dict[str, str] | None:
    """The pins that were written into an environment; None where none were."""
    file = environment / FILE
    if not file.is_file():
        return None
    found = (_PIN.fullmatch(line.strip()) for line in _read(file).splitlines())
    return {match[1]: match[2] for match in found if match is not None}


def constraint_address(path: Path) -> str:
    """The constraints of an environment as uv and pip take them: both split what they are given at spaces."""
    return address(path / FILE)


def links_address(path: Path) -> str:
    """The wheels of an environment as uv and pip take them."""
    return address(path / FOLDER)


def address(place: Path | str) -> str:
    """A file or directory as uv and pip take it everywhere: they split paths at blanks, commas and ``#``."""
    text = str(place)
    plain = "://" in text or re.fullmatch(r"[\w./+@~-]+", text) is not None
    return text if plain else Path(text).as_uri()


def pip_conf(before: str, constraints: str, links: str) -> str:
    """The text of a pip.conf that names constraints and wheels, and says what it said before; its comments are lost."""
    from configparser import Error, RawConfigParser  # noqa: PLC0415 (only what changes an environment needs it)
    from io import StringIO  # noqa: PLC0415

    parser = RawConfigParser()
    try:
        parser.read_string(before)
    except Error:
        parser = RawConfigParser()  # pip cannot read it either
    for section in _SECTIONS:
        if not parser.has_section(section):
            parser.add_section(section)
        for option, ours, name in ((_OPTION, constraints, FILE), (_LINKS, links, FOLDER)):
            others = [word for word in parser.get(section, option, fallback="").split() if not word.endswith(name)]
            parser.set(section, option, " ".join([ours, *others]))
    text = StringIO()
    parser.write(text)
    return text.getvalue()


def _read(file: Path) -> str:
    try:
        return read_text(file)
    except OSError:
        return ""
