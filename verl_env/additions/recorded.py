"""What the record of an environment says of native components that were added to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verl_env.environment.state import State


def component_wishes(state: State | None) -> tuple[str, ...]:
    """What was asked for of native components when they were added to an environment."""
    if state is None or not state.extras:
        return ()
    from verl_env.components.load import load_catalogue  # noqa: PLC0415 (few environments have additions)

    known = load_catalogue().components
    return tuple(extra.wish for extra in state.extras if extra.wish and extra.name in known and extra.origin is None)
