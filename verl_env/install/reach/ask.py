"""Many places asked side by side, below one deadline: who has not answered by then is silent."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING

from verl_env.install.reach.probe import Answer, probe, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from verl_env.install.reach.probe import Place


def ask(
    places: Mapping[str, Place], seconds: float, prober: Callable[[Place, float], Answer] = probe
) -> dict[str, Answer]:
    """An answer for every address.

    Each is asked in a thread of its own that nobody waits for beyond the deadline: the resolver of names has no
    deadline of its own, and a thread in it cannot be ended.

    Args:
        places: Where each address is asked.
        seconds: For all of them together.
        prober: Asks one.
    """
    answers: queue.SimpleQueue[tuple[str, Answer]] = queue.SimpleQueue()
    deadline = time.monotonic() + seconds

    def one(address: str, place: Place) -> None:
        try:
            answer = prober(place, seconds)
        except Exception as error:  # noqa: BLE001  a fault in asking must not keep anything from being tried
            answer = Answer(f"{place.said} cannot be asked ({type(error).__name__}: {error})")
        answers.put((address, answer))

    for address, place in places.items():
        threading.Thread(target=one, args=(address, place), daemon=True).start()
    found: dict[str, Answer] = {}
    while len(found) < len(places) and (left := deadline - time.monotonic()) > 0:
        try:
            address, answer = answers.get(timeout=left)
        except queue.Empty:
            break
        found[address] = answer
    return found | {
        address: Answer(f"{place.said} {silent(seconds)}", host=True)
        for address, place in places.items()
        if address not in found
    }
