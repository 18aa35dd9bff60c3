"""Frozen, slotted classes of named values, made without generating code.

The same as ``@dataclass(frozen=True, slots=True)``, which takes 5 ms to import and compiles six methods a class, 0.4 ms
each time, where ``verl-env plan`` takes 41 ms in all (``docs/performance.md``). Every class of values is a record; a
``dataclass`` is what changes while work goes on.
"""

from __future__ import annotations

from types import MappingProxyType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    from typing_extensions import dataclass_transform

    T = TypeVar("T")
else:

    def dataclass_transform(**_: object) -> object:
        """Tells a type checker, and only that, what ``record`` does to a class."""
        return lambda function: function


#: The default of a mapping that holds nothing; it cannot be changed.
NOTHING: Mapping[str, Any] = MappingProxyType({})
_MISSING = object()


class FrozenRecordError(AttributeError):
    """A value of a record was to be changed or deleted."""


@dataclass_transform(frozen_default=True)
def record(cls: type[T]) -> type[T]:
    """A class whose annotated names become read-only values, given by position or by name.

    Values compare, hash and print as those of a dataclass do; a name that is assigned in the class has that default.
    """
    names = tuple(cls.__annotations__)
    defaults = {name: cls.__dict__[name] for name in names if name in cls.__dict__}
    namespace = {key: value for key, value in cls.__dict__.items() if key not in defaults and key not in _DROPPED}
    namespace |= {name: value for name, value in _METHODS.items() if name not in namespace}
    namespace |= {"__slots__": names, "__match_args__": names, "__record_defaults__": defaults}
    remake: Callable[..., Any] = type(cls)
    made = remake(cls.__name__, cls.__bases__, namespace)
    made.__record_put__ = tuple((name, made.__dict__[name].__set__, defaults.get(name, _MISSING)) for name in names)
    made.__record_names__ = frozenset(names)
    return made  # type: ignore[no-any-return]


def names_of(cls: Any) -> tuple[str, ...]:
    """The names of a record class, in order."""
    return tuple(cls.__slots__)


def values(instance: Any) -> dict[str, Any]:
    """The names of a record with their values, in order; values that are records stay as they are."""
    return {name: getattr(instance, name) for name in instance.__slots__}


def replace(instance: T, **changes: Any) -> T:
    """A copy of a record with other values for some names.

    Raises:
        TypeError: a name that the record does not have.
    """
    return type(instance)(**{**values(instance), **changes})


def as_dict(instance: Any) -> dict[str, Any]:
    """The values of a record by name, for JSON: records in them, in lists and in mappings too."""
    return {name: _plain(value) for name, value in values(instance).items()}


def _plain(value: Any) -> Any:
    if is_record(value):
        return as_dict(value)
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value))
    if isinstance(value, (dict, MappingProxyType)):
        return {key: _plain(inner) for key, inner in value.items()}
    return value


def is_record(value: object) -> bool:
    """Whether a value is an instance of a record class."""
    return hasattr(type(value), "__record_defaults__")


def _init(self: Any, *positional: Any, **named: Any) -> None:
    puts, given = self.__record_put__, len(positional)
    if not given and named.keys() == self.__record_names__:  # as catalogues are read
        for name, put, _ in puts:
            put(self, named[name])
        return
    for (_, put, _), value in zip(puts, positional, strict=False):
        put(self, value)
    taken = 0
    for name, put, default in puts[given:]:
        if name in named:
            put(self, named[name])
            taken += 1
        elif default is _MISSING:
            raise TypeError(_misfit(type(self), positional, named))
        else:
            put(self, default)
    if taken != len(named) or given > len(puts):
        raise TypeError(_misfit(type(self), positional, named))


def _misfit(cls: Any, positional: tuple[Any, ...], named: dict[str, Any]) -> str:
    """What is wrong with the arguments of a record."""
    names = cls.__slots__
    if len(positional) > len(names):
        return f"{cls.__name__} takes {len(names)} values, not {len(positional)}"
    for wrong, group in (
        ("does not have", named.keys() - set(names)),
        ("is given twice", named.keys() & set(names[: len(positional)])),
        ("lacks", set(names[len(positional) :]) - named.keys() - cls.__record_defaults__.keys()),
    ):
        if group:
            return f"{cls.__name__} {wrong}: {', '.join(sorted(group))}"
    return f"{cls.__name__} cannot be made of these values"


def _repr(self: Any) -> str:
    shown = ", ".join(f"{name}={value!r}" for name, value in values(self).items())
    return f"{type(self).__qualname__}({shown})"


def _eq(self: Any, other: Any) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)


def _hash(self: Any) -> int:
    return hash(tuple(getattr(self, name) for name in self.__slots__))


def _reduce(self: Any) -> tuple[Any, ...]:
    return type(self), tuple(getattr(self, name) for name in self.__slots__)


def _refuse(self: Any, name: str, value: object = None) -> None:
    raise FrozenRecordError(f"{type(self).__name__}.{name} cannot be changed (to {value!r})")


_DROPPED = {"__dict__", "__weakref__", "__annotate_func__", "__annotations_cache__"}
_METHODS = {
    "__init__": _init,
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": _hash,
    "__reduce__": _reduce,
    "__replace__": replace,
    "__setattr__": _refuse,
    "__delattr__": _refuse,
}
