"""A signed catalogue, fetched and put in force: The Update Framework (its specification 1.0), by python-tuf's client.

    URL/metadata/*.json            root, timestamp, snapshot, targets
    URL/targets/components-1.json  the catalogue, as ``components.json`` of a release

The framework refuses what is unsigned, expired, rolled back or mixed; the first root comes from the site's
configuration and never from the network.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.catalogue.errors import (
    CatalogueExtraMissingError,
    CatalogueNotConfiguredError,
    CatalogueUnreachableError,
    CatalogueUnusableError,
    CatalogueUnverifiedError,
)
from verl_env.components.compile import write_compiled
from verl_env.components.decode import SCHEMA
from verl_env.components.errors import ComponentInvalidError
from verl_env.components.fetched import ORIGIN, fetched_folder
from verl_env.components.load import FOLDER, SUFFIX
from verl_env.interrupts import shielded
from verl_env.locking import StillHeldError, only_run
from verl_env.locksets.web import WebError, open_url
from verl_env.reading import json_of
from verl_env.settings.config import load_config
from verl_env.settings.mirrors import mirrored
from verl_env.settings.origins import own_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

TARGET = f"components-{SCHEMA}.json"
_SECONDS = 30
#: What ends the name of a directory that is, was or will be the catalogue in force.
_KEPT = ".fetched"
_CHUNK = 1 << 16


def update() -> dict[str, Any]:
    """Fetches the configured catalogue and puts it in force; its origin, as ``origin`` gives it.

    Raises:
        CatalogueError: it is not configured, cannot be had, is not signed as it must be, or cannot be read.
    """
    config = load_config()
    if config.catalogue is None:
        raise CatalogueNotConfiguredError(own_file())
    url, root = config.catalogue
    content, said = _verified(url.rstrip("/"), root)
    return _put_in_force(url, content, said)


def origin() -> dict[str, Any] | None:
    """What is known of the fetched catalogue that is in force: url, version, fetched, expires; None where none is."""
    try:
        known: dict[str, Any] = json_of(Path(fetched_folder(), ORIGIN).read_bytes())
    except (OSError, ValueError):
        return None
    return known


def reset() -> bool:
    """Puts the release's own catalogue in force again; whether another one was."""
    link = Path(fetched_folder())
    if not link.is_symlink():
        return False
    former = link.resolve()
    link.unlink()
    shutil.rmtree(former, ignore_errors=True)
    return True


def _verified(url: str, root: Path) -> tuple[bytes, Mapping[str, Any]]:
    """The catalogue's bytes, and its version and expiry, after every signature was checked."""
    try:
        from tuf.api.exceptions import DownloadError, RepositoryError  # noqa: PLC0415  an extra
        from tuf.ngclient import Updater  # noqa: PLC0415
    except ImportError as error:
        raise CatalogueExtraMissingError from error
    seen = Path(fetched_folder()).parent / "seen"
    try:
        seen.mkdir(parents=True, exist_ok=True)
        bootstrap = root.read_bytes()
        with tempfile.TemporaryDirectory() as into:
            updater = Updater(
                str(seen), f"{url}/metadata/", into, f"{url}/targets/", fetcher=_fetcher(), bootstrap=bootstrap
            )
            updater.refresh()
            target = updater.get_targetinfo(TARGET)
            if target is None:
                raise CatalogueUnusableError(url, f"it has no {TARGET}")
            content = Path(updater.download_target(target)).read_bytes()
        signed = json_of((seen / "targets.json").read_bytes())["signed"]
    except DownloadError as error:
        raise CatalogueUnreachableError(url, str(error.__cause__ or error)) from error
    except RepositoryError as error:
        raise CatalogueUnverifiedError(url, str(error)) from error
    except OSError as error:
        raise CatalogueUnverifiedError(url, f"{error.filename or root}: {error.strerror or error}") from error
    return content, {"version": signed["version"], "expires": signed["expires"]}


def _fetcher() -> Any:
    """The door of verl-env to the web, as python-tuf asks for one: with mirrors, proxies and certificates."""
    from tuf.api.exceptions import DownloadHTTPError  # noqa: PLC0415  an extra
    from tuf.ngclient import FetcherInterface  # noqa: PLC0415

    mirrors = load_config().mirrors

    class Fetcher(FetcherInterface):
        def _fetch(self, url: str) -> Iterator[bytes]:
            try:
                with open_url(mirrored(url, mirrors), timeout=_SECONDS) as answer:
                    while chunk := answer.read(_CHUNK):
                        yield chunk
            except WebError as error:
                raise DownloadHTTPError(str(error), error.status or 404) from error

    return Fetcher()


def _put_in_force(url: str, content: bytes, said: Mapping[str, Any]) -> dict[str, Any]:
    """Writes the catalogue beside what is in force and changes the link to it, in one step.

    What is left of runs that were killed goes too: whoever updates holds the lock.
    """
    link = Path(fetched_folder())
    known = {"url": url, **said, "fetched": datetime.now(timezone.utc).isoformat(timespec="seconds")}
    try:
        with only_run(link.with_name(f"{link.name}.lock"), seconds=_SECONDS, waiting=lambda: None), shielded():
            former = link.resolve() if link.is_symlink() else None
            place = _written(url, content, known, link)
            draft = link.with_name(f"{place.name}.link")
            draft.symlink_to(place.name)
            draft.replace(link)
            _clear({*link.parent.glob(f"{link.name}.*{_KEPT}*"), *([] if former is None else [former])} - {place})
    except StillHeldError as error:
        raise CatalogueUnreachableError(url, "another run of verl-env is fetching it") from error
    return known


def _written(url: str, content: bytes, known: Mapping[str, Any], link: Path) -> Path:
    """The directory of a catalogue, whole, beside the link that will name it."""
    place = Path(tempfile.mkdtemp(prefix=f"{link.name}.", suffix=_KEPT, dir=link.parent))
    place.chmod(0o755)
    try:
        _write_tables(place, content)
        (place / ORIGIN).write_text(json.dumps(known), encoding="utf-8")
    except BaseException as error:
        shutil.rmtree(place, ignore_errors=True)
        if isinstance(error, (ComponentInvalidError, ValueError, KeyError, TypeError, AttributeError)):
            raise CatalogueUnusableError(url, str(error).replace(f"{place}{os.sep}", "")) from error
        raise
    return place


def _clear(paths: set[Path]) -> None:
    for path in paths:
        tree = path.is_dir() and not path.is_symlink()
        shutil.rmtree(path, ignore_errors=True) if tree else path.unlink(missing_ok=True)


def _write_tables(place: Path, content: bytes) -> None:
    """The tables as files; each is decoded, so that what cannot be read is found here and not by a plan."""
    import tomli_w  # noqa: PLC0415

    folder = place / FOLDER
    folder.mkdir()
    for name, entry in json_of(content)["files"].items():
        if Path(name).name != name or name.startswith("."):
            raise ValueError(f"{name!r} is no name of a component")
        (folder / f"{name}{SUFFIX}").write_bytes(tomli_w.dumps(entry["table"]).encode())
    write_compiled(place)
