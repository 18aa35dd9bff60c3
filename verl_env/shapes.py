"""Decoders of TOML and JSON values that say which key they fail at.

A decoder takes a decoded value and returns the object it stands for, or raises ``FieldError``. The key of the error
grows from the inside out while the decoders unwind: ``requires.gpu[1].targets``.
"""

from __future__ import annotations

from marshal import dumps

from verl_env.versions import dotted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias, TypeVar

    T = TypeVar("T")
    Decoder: TypeAlias = Callable[[object], T]

_DIGITS = str.maketrans("123456789", "000000000")
_TIMESTAMP = "0000-00-00T00:00:00Z"
_DATE = "0000-00-00"
_SHA256_LENGTH = 64


class FieldError(ValueError):
    """A value of the wrong form, with the path of its key."""

    def __init__(self, reason: str, key: str = "") -> None:
        super().__init__(reason, key)
        self.reason = reason
        self.key = key

    def within(self, outer: str) -> FieldError:
        """The same error seen from the table or list around it."""
        joint = "." if outer and self.key and not self.key.startswith("[") else ""
        return FieldError(self.reason, f"{outer}{joint}{self.key}")


def text(value: object) -> str:
    """A string with something in it."""
    if isinstance(value, str) and value:
        return value
    raise FieldError(f"must be a non-empty string, not {value!r}")


def flag(value: object) -> bool:
    """A truth value."""
    if isinstance(value, bool):
        return value
    raise FieldError(f"must be true or false, not {value!r}")


def count(value: object) -> int:
    """A whole number, not negative."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise FieldError(f"must be a whole number, not {value!r}")


def number(value: object) -> str:
    """A dotted number such as a driver or glibc version."""
    try:
        dotted(text(value))
    except ValueError:
        raise FieldError(f"must be numbers with dots between them, not {value!r}") from None
    return text(value)


def timestamp(value: object) -> str:
    """A full UTC timestamp; a bare date would cover a day of the local zone."""
    if isinstance(value, str) and value.translate(_DIGITS) == _TIMESTAMP:
        return value
    raise FieldError(f"must be a full UTC timestamp like 2025-07-18T09:23:19Z, not {value!r}")


def moment(value: object) -> str:
    """A full UTC timestamp, or the bare date of something whose time of day nobody recorded."""
    if isinstance(value, str) and value.translate(_DIGITS) == _DATE:
        return value
    return timestamp(value)


def sha256(value: object) -> str:
    """A SHA-256 digest in lower-case hex."""
    if isinstance(value, str) and len(value) == _SHA256_LENGTH and not value.strip("0123456789abcdef"):
        return value
    raise FieldError(f"must be 64 hexadecimal digits, not {value!r}")


def one_of(*choices: str) -> Decoder[str]:
    """One of a few words."""

    def decode(value: object) -> str:
        if isinstance(value, str) and value in choices:
            return value
        raise FieldError(f"must be one of {', '.join(choices)}, not {value!r}")

    return decode


def many(decoder: Decoder[T]) -> Decoder[tuple[T, ...]]:
    """A list of like values."""

    def decode(value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise FieldError(f"must be a list, not {value!r}")
        decoded: list[T] = []
        try:
            for item in value:
                decoded.append(decoder(item))  # noqa: PERF401 its length is the place of the error
        except FieldError as error:
            raise error.within(f"[{len(decoded)}]") from None
        return tuple(decoded)

    return decode


texts = many(text)


def shared(decoder: Decoder[T]) -> Decoder[T]:
    """Like values become one object, made once: for frozen objects that many tables hold alike."""
    made: dict[bytes, T] = {}

    def decode(value: object) -> T:
        try:
            # Tells 1 from true; version 2 has no references to equal parts, so that like values are alike.
            key = dumps(value, 2)  # type: ignore[arg-type]
        except ValueError:  # a date, which TOML has
            return decoder(value)
        if (found := made.get(key)) is None:
            found = made[key] = decoder(value)
        return found

    return decode


def mapping(value: object) -> dict[str, str]:
    """A table of strings; they may be empty, as the values of environment variables may."""
    if not isinstance(value, dict):
        raise FieldError(f"must be a table, not {value!r}")
    for key, item in value.items():
        if not isinstance(item, str):
            raise FieldError(f"must be a string, not {item!r}", key)
    return value


def shape(
    cls: Callable[..., T],
    required: Mapping[str, Decoder[object]],
    optional: Mapping[str, tuple[Decoder[object], object]] | None = None,
) -> Decoder[T]:
    """A table that becomes an object.

    Args:
        cls: called with the decoded values by keyword.
        required: the keys that must be there.
        optional: the keys that may be left out, each with what it then is.
    """
    defaults = {name: default for name, (_, default) in (optional or {}).items()}
    decoders = {**required, **{name: decoder for name, (decoder, _) in (optional or {}).items()}}

    def refuse_keys(value: Mapping[str, object]) -> None:
        if missing := required.keys() - value.keys():
            raise FieldError("is missing", min(missing))
        if unknown := value.keys() - decoders.keys():
            raise FieldError("is not a key that may stand here", min(unknown))

    def decode(value: object) -> T:
        if not isinstance(value, dict):
            raise FieldError(f"must be a table, not {value!r}")
        values = defaults.copy()
        name = ""
        try:  # keys are held against each other only where something is wrong: that took half of the time
            for name, item in value.items():
                values[name] = decoders[name](item)
        except KeyError:
            refuse_keys(value)
            raise
        except FieldError as error:
            refuse_keys(value)
            raise error.within(name) from None
        if len(values) < len(decoders):
            refuse_keys(value)
        return cls(**values)

    return decode
