"""How errors are worded: format strings over their values. Loaded where something is worded, so not at the start."""

from __future__ import annotations

import string

from verl_env.command_line import quoted
from verl_env.texts import listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


class _Wording(string.Formatter):
    """Format strings over the attributes of an object, with the shell's forms for what may be empty.

    =================  ==================================================================
    ``{path!q}``       quoted for a shell; a list word by word
    ``{said:-text}``   the value, or the text where it is empty
    ``{by:+ of {by}}`` the text, or nothing where the value is empty
    ``{known:, }``     the items of a list with this between them; ``and`` or ``or`` before the last
    ``{tail:*text}``   each item of a list behind this text
    ``{alive:#}``      how many items a list has
    =================  ==================================================================
    """

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        del kwargs
        return getattr(args[0], str(key))

    def convert_field(self, value: Any, conversion: Any) -> Any:
        if conversion == "q":
            return quoted(*value) if isinstance(value, tuple) else quoted(value)
        return super().convert_field(value, conversion)

    def format_field(self, value: Any, format_spec: str) -> str:
        form, text = format_spec[:1], format_spec[1:]
        if form in {"-", "+"}:
            return (text if form == "+" else str(value)) if value else (text if form == "-" else "")
        if not isinstance(value, tuple):
            return str(super().format_field(value, format_spec))
        if format_spec == "#":
            return str(len(value))
        if format_spec in {"and", "or"}:
            return listed(map(str, value), format_spec)
        return "".join(f"{text}{item}" for item in value) if form == "*" else format_spec.join(map(str, value))


def worded(text: str, carrier: object) -> str:
    """A text with the attributes of an object, such as an error, in the places of their names."""
    return _Wording().vformat(text, (carrier,), {})
