"""What can go wrong with a catalogue that is newer than the release."""

from __future__ import annotations

from verl_env.errors import EXIT_MISUSE, VerlEnvError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


class CatalogueError(VerlEnvError):
    """A newer catalogue cannot be had; the one that is in force stays."""


class CatalogueNotConfiguredError(CatalogueError):
    """No configuration says where newer catalogues are and by which keys they are signed.

    Nothing is fetched that nobody asked for: a site names the address and the first ``root.json``, which it got by a
    way that it trusts.
    """

    id = "catalogue-not-configured"
    exit_code = EXIT_MISUSE
    file: Path
    says = "no configuration names a place of newer catalogues, so that of the release stays in force"
    helps = 'write into {file}: catalogue = {{ url = "https://HOST/verl-env", root = "/PATH/root.json" }}'


class CatalogueUnverifiedError(CatalogueError):
    """What lies at the address is not signed as the site's root asks, too old, or older than what was seen before."""

    id = "catalogue-unverified"
    url: str
    reason: str
    says = "the catalogue of {url} is not taken: {reason}"
    helps = "ask who publishes it; the catalogue that is in force stays: verl-env catalogue show"


class CatalogueUnreachableError(CatalogueError):
    """The address of the catalogue does not answer."""

    id = "catalogue-unreachable"
    url: str
    reason: str
    says = "the catalogue of {url} cannot be fetched: {reason}"
    helps = "the catalogue that is in force stays: verl-env catalogue show"


class CatalogueUnusableError(CatalogueError):
    """A catalogue is signed as it must be, and this release cannot read it."""

    id = "catalogue-unusable"
    url: str
    reason: str
    says = "the catalogue of {url} is of no use to this release: {reason}"
    helps = "a newer verl-env may read it; the catalogue that is in force stays: verl-env catalogue show"


class CatalogueExtraMissingError(CatalogueError):
    """The libraries that verify signatures are an extra, and are not installed."""

    id = "catalogue-extra-missing"
    exit_code = EXIT_MISUSE
    says = "signed catalogues need the extra 'catalogue', which is not installed"
    helps = "pip install 'verl-env[catalogue]'"


class SigningKeyUnusableError(CatalogueError):
    """The file is no private key that can sign."""

    id = "signing-key-unusable"
    exit_code = EXIT_MISUSE
    path: Path
    reason: str
    says = "{path} cannot sign: {reason}"
    helps = "an unencrypted Ed25519 key in PEM does: openssl genpkey -algorithm ed25519 -out key.pem"
