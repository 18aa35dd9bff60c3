"""Whether a part can be tried here; nothing is run for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verl_env.verify.model import Part, Subject


def obstacle(part: Part, subject: Subject) -> str | None:
    """Why a part cannot be tried; None where it can."""
    lacking = [name for name in part.needs if name not in subject.packages]
    if lacking:
        return f"{' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not in the environment"
    if not subject.gpus:
        return "there is no GPU here"
    if subject.gpus < part.gpus:
        return f"it takes {part.gpus} GPUs; {subject.gpus} is here"
    if part.capability and subject.capability and _numbers(subject.capability) < _numbers(part.capability):
        return f"it takes compute capability {part.capability}; {subject.gpu} has {subject.capability}"
    return None


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
