"""One test for many values: a loop that names every value that fails, for what is checked of all that is shipped.

A test of its own costs pytest more than such a check does, and each worker collects all of them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any


def each(names: str | tuple[str, ...], values: Iterable[Any], ids: Callable[[Any], object] = str) -> Callable[..., Any]:
    """As ``pytest.mark.parametrize``, in one test; fixtures are shared by all values."""
    keys = (names,) if isinstance(names, str) else names
    rows = [(ids(value), (value,) if isinstance(names, str) else value) for value in values]
    assert rows, "nothing to check"

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def test(**fixtures: Any) -> None:
            failed = []
            for name, row in rows:
                try:
                    function(**dict(zip(keys, row, strict=True)), **fixtures)
                except Exception as error:  # noqa: BLE001, PERF203
                    failed.append(f"{name}: {type(error).__name__}: {error}")
            assert not failed, "\n".join(failed)

        every = inspect.signature(function).parameters.values()
        test.__signature__ = inspect.Signature([each for each in every if each.name not in keys])  # type: ignore[attr-defined]
        return test

    return decorate
