"""What is known of addresses: asked once, and remembered by host where the host is to blame."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from verl_env.components.model import INDEX
from verl_env.environment.installed import normalise
from verl_env.install.reach.ask import ask
from verl_env.install.reach.probe import Place, place_of, probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from verl_env.install.reach.probe import Answer

#: Seconds that a round of questions may take, and all rounds together.
ROUND, TOTAL = 4.0, 6.0
#: How the address of a source distribution begins (``choose.model.address_of``).
SDIST = "sdist:"
#: How the address of a project on the package index of an installer begins: ``packages:uv:torch``.
PACKAGES = "packages:"
#: What an index gives, which says nothing of a host.
_OF_INDEX = (SDIST, INDEX, PACKAGES)


class Reach:
    """Asks addresses, and says why nothing can be had from one.

    Args:
        here: Whether what an address stands for is on this machine already, so that its host does not matter.
        known: Addresses and hosts that nothing can be had from, with the reason: what was found another time.
        prober: Asks one place.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        here: Callable[[str], bool] = lambda _: False,
        known: Mapping[str, str] | None = None,
        prober: Callable[[Place, float], Answer] = probe,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._here = here
        self._barred = dict(known or {})
        self._asked: set[str] = set()
        self._prober = prober
        self._clock = clock
        self._until: float | None = None
        #: More addresses of what is here already.
        self.at_hand: set[str] = set()
        #: Projects that the index was asked for and does not have, by address, with its answer.
        self.lacking: dict[str, str] = {}

    @property
    def barred(self) -> dict[str, str]:
        """Every address and host that nothing can be had from, with the reason."""
        return dict(self._barred)

    def why_not(self, address: str) -> str | None:
        """Why nothing can be had from an address; None where nothing is known against it."""
        if not self._barred or address in self.at_hand or self._here(address):
            return None
        if address in self._barred or address.startswith(_OF_INDEX):
            return self._barred.get(address)
        place = place_of(address)
        return None if place is None else self._barred.get(place.host)

    def bar(self, address: str, reason: str) -> None:
        """Notes that nothing can be had from an address."""
        self._barred[address] = reason

    def hosts(self, addresses: Iterable[str]) -> list[str]:
        """The hosts that ``ask`` would ask."""
        return list(dict.fromkeys(place.host for place in self._fresh(addresses).values()))

    def ask(self, addresses: Iterable[str]) -> None:
        """Asks those that were not asked before, side by side, as long as there is time."""
        now = self._clock()
        self._until = now + TOTAL if self._until is None else self._until
        seconds = min(ROUND, self._until - now)
        places = self._fresh(addresses)
        if places and seconds > 0:
            self._asked |= places.keys()
            self._note(places, ask(places, seconds, self._prober))

    def _fresh(self, addresses: Iterable[str]) -> dict[str, Place]:
        """Where those are asked that were not asked yet; what nobody can ask is taken to be there."""
        fresh = [each for each in dict.fromkeys(addresses) if each not in self._asked | self.at_hand]
        return {address: place for address in fresh if (place := _place(address)) is not None}

    def _note(self, places: Mapping[str, Place], answers: Mapping[str, Answer]) -> None:
        """Keeps what cannot be had; a host from which something else came is not to blame."""
        good = {places[address].host for address, answer in answers.items() if answer.reason is None}
        for address, answer in answers.items():
            if answer.reason is None:
                continue
            if address.startswith(PACKAGES) and not answer.host:
                self.lacking[address] = answer.reason
                continue
            self._barred[address] = answer.reason
            place = places[address]
            if answer.host and place.host not in good and not place.installer:
                self._barred[place.host] = answer.reason


def _place(address: str) -> Place | None:
    if address.startswith(SDIST):
        return Place(address.removeprefix(SDIST).partition("==")[0], installer="pip")
    if address.startswith(INDEX):
        project = normalise(address.removeprefix(INDEX).partition("-")[0])
        return Place(project, installer="pip")
    if address.startswith(PACKAGES):
        installer, _, project = address.removeprefix(PACKAGES).partition(":")
        return Place(project, installer=installer)
    return place_of(address)
