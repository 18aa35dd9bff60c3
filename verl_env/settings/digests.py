"""Trust on first use: the digest of what nobody recorded one for, kept when it is first taken.

    $XDG_STATE_HOME/verl-env/digests.json    this user's (~/.local/state); what was accepted goes before all else
    digests = "/shared/digests.json"         a site's, of the configuration; read where its owner is trusted

Environments keep the digests of what they were made from too. None of these lies beside what it speaks of: who can put
another file into a cache cannot make it the right one.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from typing import TYPE_CHECKING

from verl_env.credentials import without_credentials
from verl_env.errors import VerlEnvError
from verl_env.locking import StillHeldError, only_run
from verl_env.places import user_directory
from verl_env.reading import json_of, read_bytes
from verl_env.settings.config import load_config
from verl_env.settings.owners import distrust

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SCHEMA = 1
_DIGEST = re.compile(r"[0-9a-f]{64}")


class DigestChangedError(VerlEnvError):
    """What has no recorded hash is another file than the one that was first taken from its address.

    Its publisher may have replaced it, or somebody has in a cache or on the way. Nothing was installed of it; a copy in
    a cache of one's own was removed. Accept the new one only where its publisher says that it was replaced.
    """

    id = "digest-changed"
    address: str
    known: str
    actual: str
    place: str
    says = "{address} is another file than when it was first taken: sha256:{known} then, sha256:{actual} in {place}"
    helps = "run it again to fetch it anew; or accept this one: verl-env trust {address!q} {actual!q}"


class DigestsUnreadableError(VerlEnvError):
    """The file of digests is damaged, so that nobody knows what was taken before."""

    id = "digests-unreadable"
    path: Path
    reason: str
    says = "{path} cannot be read: {reason}"
    helps = "bring it back from a backup; or trust everything anew: mv {path!q} {path!q}.old"


def own_digests(env: Mapping[str, str] = os.environ) -> Path:
    """The file of this user."""
    return user_directory("XDG_STATE_HOME", env) / "verl-env" / "digests.json"


def known_digest(address: str) -> str | None:
    """The SHA-256 of what was first taken from an address, or accepted; None where nothing was.

    Raises:
        DigestsUnreadableError: the file is damaged.
        ConfigError: the configuration cannot be used.
    """
    address = without_credentials(address)
    return next((found[address] for found in _files() if address in found), None)


def read_digests(file: Path) -> dict[str, str]:
    """The digests of a file, by address; none where there is no file.

    Raises:
        DigestsUnreadableError: it is damaged.
    """
    try:
        data = json_of(read_bytes(file))
        digests = {str(address): str(digest) for address, digest in data["digests"].items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DigestsUnreadableError(file, f"it is damaged ({type(error).__name__})") from error
    if data.get("schema") != SCHEMA:
        raise DigestsUnreadableError(file, "it is of another release of verl-env")
    return digests


def remember(address: str, digest: str | None, file: Path | None = None) -> None:
    """Keeps a digest for an address; None forgets it.

    Raises:
        DigestsUnreadableError: the file is damaged.
        OSError: it cannot be written.
        StillHeldError: another run was at it for ten seconds.
    """
    file = own_digests() if file is None else file
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with only_run(file.with_name(f"{file.name}.lock"), seconds=10, waiting=lambda: None):
        digests = read_digests(file)
        digests.pop(without_credentials(address), None)
        if digest is not None:
            digests[without_credentials(address)] = digest
        part = file.with_name(f".{file.name}.{os.getpid()}.part")
        part.write_text(json.dumps({"schema": SCHEMA, "digests": dict(sorted(digests.items()))}, indent=1))
        part.chmod(0o600)
        part.replace(file)


def first_use(address: str, actual: str, place: str, before: Mapping[str, str]) -> None:
    """Keeps the digest of what is taken for the first time, and refuses what is not what it was.

    Args:
        address: Where it is from, as a lockset or recipe states it.
        actual: The SHA-256 of what came.
        place: From where it came, in words.
        before: The digests that the environment knows; they count where this user knows none.

    Raises:
        DigestChangedError: it is another file than before.
        DigestsUnreadableError: the file of digests is damaged.
    """
    address = without_credentials(address)
    own = known_digest(address)
    known = before.get(address, "").removeprefix("sha256:") or None if own is None else own
    if known is not None and known != actual:
        raise DigestChangedError(address, known, actual, without_credentials(place))
    if own is None:
        with contextlib.suppress(OSError, StillHeldError):  # a home that may not be written: the environment keeps it
            remember(address, actual)


def is_digest(text: str) -> bool:
    """Whether a text is a SHA-256 in hexadecimal."""
    return _DIGEST.fullmatch(text) is not None


def _files() -> Iterator[dict[str, str]]:
    yield read_digests(own_digests())
    site = load_config().digests
    if site is not None and site.is_file() and distrust(site, site.parent) is None:
        yield read_digests(site)
