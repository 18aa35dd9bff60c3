"""Versions of vLLM, compared without packaging: ``.dev`` and ``rc`` before their release, ``.post`` and local after."""

from __future__ import annotations

import re

#: Comparable; shorter tuples of the release are padded to four places.
Key = tuple[int, int, int, int, int, int]

_FORM = re.compile(
    r"v?(?P<release>\d+(?:\.\d+){0,3})"
    r"(?:[._-]?(?P<pre>a|b|rc)(?P<pre_n>\d*))?"
    r"(?:[._-]?post(?P<post>\d*))?"
    r"(?:[._-]?dev(?P<dev>\d*))?"
    r"(?:\+(?P<local>[a-z0-9._-]+))?",
    re.IGNORECASE,
)


def version_key(text: str) -> Key | None:
    """A key that sorts as PEP 440 does for what vLLM releases; None for what is no version.

    The local part does not count: ``0.8.2+cu118`` is ``0.8.2``.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        return None
    release = [int(part) for part in match["release"].split(".")]
    release += [0] * (4 - len(release))
    return (release[0], release[1], release[2], release[3], _stage(match), int(match["post"] or 0))


def _stage(match: re.Match[str]) -> int:
    """Development versions come first, then pre-releases, the release, its post-releases."""
    if match["post"] is not None:
        return 3
    if match["pre"]:
        return 1
    return 0 if match["dev"] is not None else 2


def in_range(version: str, low: str, high: str) -> bool:
    """Whether ``low <= version < high``; False where the version cannot be read."""
    key, least, bound = version_key(version), version_key(low), version_key(high)
    return key is not None and least is not None and bound is not None and least <= key < bound
