"""The distribution, from os-release (the format is specified in os-release(5))."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from verl_env.machine.roots import Roots

#: Where the file is, in the order of os-release(5).
OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")

_DOUBLE = r'"((?:[^"\\]|\\.)*)"\s*'
_PLAIN = r"((?:[^\s\"'\\]|\\.)*)\s*"
_ESCAPE = r'\\(["$`\\])'
_ANY_ESCAPE = r"\\(.)"


def parse_os_release(text: str) -> dict[str, str]:
    """The assignments of an os-release file; a line that a shell would not take is left out."""
    values = {}
    for line in text.splitlines():
        name, assigned, raw = line.lstrip().partition("=")
        if assigned and name.isascii() and name.isidentifier():
            value = _unquote(raw.rstrip()) if "\\" not in raw else _unescape(raw)
            if value is not None:
                values[name] = value
    return values


def read_os(roots: Roots) -> tuple[str | None, str | None, str | None]:
    """ID and VERSION_ID of the distribution, and the file they come from.

    ID is ``linux`` where the file does not say (os-release(5)); a rolling distribution has no VERSION_ID. All three
    are None without the file.
    """
    for path in OS_RELEASE:
        text = roots.read(path)
        if text is not None:
            values = parse_os_release(text)
            return values.get("ID") or "linux", values.get("VERSION_ID") or None, path
    return None, None, None


def _unquote(raw: str) -> str | None:
    """A value without a backslash as a shell reads it; None when a quote is left open."""
    for quote in ("'", '"'):
        if raw.startswith(quote):
            return raw[1:-1] if len(raw) > 1 and raw.find(quote, 1) == len(raw) - 1 else None
    return raw if "'" not in raw and '"' not in raw and raw.split() in ([], [raw]) else None


def _unescape(raw: str) -> str | None:
    """A value with backslashes as a shell reads it, which keeps them in single quotes; None as above."""
    import re  # noqa: PLC0415  (hardly any distribution has one)

    if raw.startswith("'"):
        return _unquote(raw.rstrip())
    if match := re.fullmatch(_DOUBLE, raw):
        return re.sub(_ESCAPE, r"\1", match[1])
    if match := re.fullmatch(_PLAIN, raw):
        return re.sub(_ANY_ESCAPE, r"\1", match[1])
    return None
