"""Comparisons of versions that a machine may state in any form: what cannot be read compares as None, never raises."""

from __future__ import annotations

from functools import lru_cache

from verl_env.versions import at_least, numbers


@lru_cache(maxsize=1024)
def reaches(have: str, need: str) -> bool | None:
    """Whether one dotted number reaches another; None where one of them is none."""
    if numbers(have) is None or numbers(need) is None:
        return None
    return at_least(have, need)


@lru_cache(maxsize=256)
def gfx_numbers(text: str) -> tuple[int, int, int] | None:
    """A gfx target as major, minor and step, the step being one hexadecimal digit: ``"gfx90a"`` is ``(9, 0, 10)``.

    Features behind a colon (``gfx90a:xnack-``) do not count; None where the text is no such target.
    """
    digits = text.partition(":")[0].removeprefix("gfx")
    try:
        return (int(digits[:-2]), int(digits[-2:-1], 16), int(digits[-1:], 16))
    except ValueError:
        return None


@lru_cache(maxsize=256)
def release(text: str) -> tuple[tuple[int, ...], int, int]:
    """A key that orders releases of verl: pre-releases before, post-releases after the release itself.

    What is no number (``main``) sorts before every release.
    """
    head: list[int] = []
    for part in text.removeprefix("v").split("."):
        if not (part.isascii() and part.isdigit()):
            return (_stripped(head), *_stage(part))
        head.append(int(part))
    return (_stripped(head), 0, 0)


def release_matches(release_text: str, asked: str) -> bool:
    """Whether a release is the one asked for or below its prefix: ``0.4`` matches 0.4.1, not 0.40."""
    want = asked.removeprefix("v").split(".")
    return release_text.removeprefix("v").split(".")[: len(want)] == want


def minor_release(version: str) -> str:
    """``"3.10"`` of ``"3.10.13"``."""
    return ".".join(version.split(".")[:2])


def _stripped(parts: list[int]) -> tuple[int, ...]:
    """The numbers without trailing zeros: 0.4 and 0.4.0 are one release."""
    while parts and parts[-1] == 0:
        parts = parts[:-1]
    return tuple(parts)


def _stage(tag: str) -> tuple[int, int]:
    digits = "".join(char for char in tag if "0" <= char <= "9")
    return (1 if tag.startswith("post") else -1, int(digits[:9] or "0"))
