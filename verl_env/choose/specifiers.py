"""Versions against specifiers, with ``packaging`` imported only where there is something to compare."""

from __future__ import annotations

_LEAST, _MOST = (">=", ">", "~="), ("<", "<=")


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


def is_empty(specifier: str) -> bool:
    """Whether no version can be in a specifier, as its bounds contradict each other; ``~=`` counts from below only."""
    if "," not in specifier:
        return False
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415
    from packaging.version import Version  # noqa: PLC0415

    parts = [(each.operator, each.version) for each in SpecifierSet(specifier)]
    pinned = [version for operator, version in parts if operator == "==" and not version.endswith(".*")]
    if pinned:
        return not allows(specifier, pinned[0])
    least = max(
        ((Version(version), operator == ">") for operator, version in parts if operator in _LEAST), default=None
    )
    most = min(((Version(version), operator != "<") for operator, version in parts if operator in _MOST), default=None)
    if least is None or most is None:
        return False
    return least[0] > most[0] or (least[0] == most[0] and (least[1] or not most[1]))
