"""A catalogue for others: signed metadata around the catalogue in force, in a directory that any web server serves.

One key signs all four roles, which is what a site needs; who wants several keys or thresholds keeps the directory by
python-tuf's own tools, as it is an ordinary repository of The Update Framework.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.catalogue.errors import CatalogueExtraMissingError, SigningKeyUnusableError
from verl_env.catalogue.update import TARGET
from verl_env.components.compile import compiled_text
from verl_env.components.load import catalogue_root

if TYPE_CHECKING:
    from typing import Any

_ROOT_DAYS = 3650
_ROLES = ("root", "timestamp", "snapshot", "targets")


def sign(directory: Path, key: Path, *, days: int) -> Path:
    """Publishes the catalogue in force; the ``root.json`` that users are to be given.

    Args:
        directory: Of the repository; made, or brought up to date.
        key: An unencrypted private key in PEM.
        days: After which nobody takes this catalogue any more.

    Raises:
        CatalogueError: the key cannot be used, or the libraries are not installed.
    """
    try:
        from tuf.api.metadata import MetaFile, Snapshot, TargetFile, Targets, Timestamp  # noqa: PLC0415  an extra
    except ImportError as error:
        raise CatalogueExtraMissingError from error
    signer = _signer(key)
    metadata, targets = directory / "metadata", directory / "targets"
    for each in (metadata, targets):
        each.mkdir(parents=True, exist_ok=True)
    content = compiled_text(Path(catalogue_root())).encode()
    target = TargetFile.from_data(TARGET, content)
    (targets / f"{target.hashes['sha256']}.{TARGET}").write_bytes(content)
    number = 1 + _version(metadata / "timestamp.json")
    expires = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=days)
    signed = {
        f"{number}.targets.json": Targets(number, expires=expires, targets={TARGET: target}),
        f"{number}.snapshot.json": Snapshot(number, expires=expires, meta={"targets.json": MetaFile(number)}),
        "timestamp.json": Timestamp(number, expires=expires, snapshot_meta=MetaFile(number)),
    }
    root = metadata / "1.root.json"
    if not root.exists():
        signed = {root.name: _root(signer, expires), **signed}
    # The timestamp is the last: until then clients see the former state.
    for name, part in signed.items():
        _write(part, metadata / name, signer)
    return root


def _root(signer: Any, expires: datetime) -> Any:
    """The first root: one key for every role."""
    from tuf.api.metadata import Root  # noqa: PLC0415

    root = Root(1, expires=expires + timedelta(days=_ROOT_DAYS))
    for role in _ROLES:
        root.add_key(signer.public_key, role)
    return root


def _signer(key: Path) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415  an extra
    from securesystemslib.signer import CryptoSigner  # noqa: PLC0415

    try:
        return CryptoSigner(load_pem_private_key(key.read_bytes(), password=None))
    except OSError as error:
        raise SigningKeyUnusableError(key, error.strerror or str(error)) from error
    except (ValueError, TypeError, RuntimeError) as error:
        raise SigningKeyUnusableError(key, str(error) or type(error).__name__) from error


def _version(file: Path) -> int:
    from tuf.api.metadata import Metadata  # noqa: PLC0415

    return Metadata.from_file(str(file)).signed.version if file.exists() else 0


def _write(signed: Any, file: Path, signer: Any) -> None:
    from tuf.api.metadata import Metadata  # noqa: PLC0415

    metadata = Metadata(signed)
    metadata.sign(signer)
    draft = file.with_name(f".{file.name}")
    metadata.to_file(str(draft))
    draft.replace(file)
