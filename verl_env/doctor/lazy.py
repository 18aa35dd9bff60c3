"""Attributes that are worked out when they are first asked for, once, whichever thread asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, overload

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from typing import Protocol

    class Locked(Protocol):
        """An object whose lazy attributes are guarded by one lock."""

        lock: threading.RLock


T = TypeVar("T")


class lazily(Generic[T]):  # noqa: N801  used as a decorator, like property
    """A property that is computed below its instance's ``lock`` and kept.

    A second thread that asks meanwhile waits for the first instead of doing the work again.
    """

    def __init__(self, make: Callable[..., T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> lazily[T]: ...

    @overload
    def __get__(self, instance: Locked, owner: type) -> T: ...

    def __get__(self, instance: Locked | None, owner: type) -> T | lazily[T]:
        if instance is None:
            return self
        with instance.lock:
            if self._name not in instance.__dict__:
                instance.__dict__[self._name] = self._make(instance)
            value: T = instance.__dict__[self._name]
            return value
