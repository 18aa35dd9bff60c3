"""Addresses as the configured mirrors have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.credentials import without_credentials
from verl_env.settings.config import load_config

if TYPE_CHECKING:
    from collections.abc import Mapping

_GIT = "git+"


def mirrored(url: str, mirrors: Mapping[str, str] | None = None) -> str:
    """The address to fetch from in place of another: that of the longest configured prefix, else itself.

    A prefix counts only up to the end of a part of the address: ``https://github.com`` says nothing about
    ``https://github.company.example/``. A ``git+`` before the address stays where it is. What a mirror gives is not
    looked up again.

    Args:
        url: The address that a lockset or a recipe states.
        mirrors: Prefixes without a slash at the end, to what stands for them; None reads the configuration.

    Raises:
        ConfigError: the configuration cannot be used.
    """
    table = load_config().mirrors if mirrors is None else mirrors
    scheme = _GIT if url.startswith(_GIT) else ""
    address = url.removeprefix(_GIT)
    fitting = [prefix for prefix in table if address == prefix or address.startswith((f"{prefix}/", f"{prefix}?"))]
    if not fitting:
        return url
    longest = max(fitting, key=len)
    return f"{scheme}{table[longest]}{address[len(longest) :]}"


def both(url: str, fetched: str) -> str:
    """An address in words: with that of the mirror where one stands for it; without passwords."""
    words = url if fetched == url else f"{fetched} (mirror of {url})"
    return without_credentials(words)
