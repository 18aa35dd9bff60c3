"""``stale-loaders``: a parameter's loading methods are its own, whatever was copied onto it.

verl 0.7 and 0.8 copy everything that a vLLM parameter has onto the bare one that takes its place, methods bound to the
old tensor among it. Once the data of the new one are elsewhere (offloaded and back, put to sleep and woken), a refit
writes into the old tensor, without a word: vLLM generates with stale weights.
"""

from __future__ import annotations

import functools
import inspect
from types import MethodType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class OwnMethod:
    """A method in its class that goes before what lies in the object, where that is bound to another tensor."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self._function, self._name = function, function.__name__

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """The method as a function of the class."""
        return self._function(*arguments, **options)

    def __get__(self, parameter: Any, owner: Any = None) -> Any:
        """The method of this parameter, or what somebody has put in its place on purpose."""
        if parameter is None:
            return self
        there = vars(parameter).get(self._name)
        return MethodType(self._function, parameter) if there is None or _of_another(there, parameter) else there

    def __set__(self, parameter: Any, value: Any) -> None:
        """Keeps what is put there as a plain method would."""
        vars(parameter)[self._name] = value

    def __delete__(self, parameter: Any) -> None:
        """Takes away what was put there."""
        try:
            del vars(parameter)[self._name]
        except KeyError:
            raise AttributeError(self._name) from None


def _of_another(value: Any, parameter: Any) -> bool:
    """Whether a value is a method that is bound to another tensor."""
    holder = getattr(value, "__self__", None)
    return inspect.ismethod(value) and holder is not parameter and hasattr(holder, "data_ptr")


def wrap(original: Callable[..., Any]) -> Any:
    """A loading method of a parameter class that stays its own."""
    return OwnMethod(original)
