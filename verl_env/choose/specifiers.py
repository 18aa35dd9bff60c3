"""Versions against specifiers, with ``packaging`` imported only where there is something to compare."""

from __future__ import annotations


def allows(specifier: str, version: str) -> bool:
    """Whether a version is in a specifier; a commit in place of a version is in none but the empty one."""
    if not specifier:
        return True
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415  only what a user asks for by --with needs it
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415

    try:
        return SpecifierSet(specifier).contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False
