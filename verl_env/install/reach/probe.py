"""One address asked: whether something can be had from it, and if not, whether that is the file or its host."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from verl_env import __version__
from verl_env.records import NOTHING, record
from verl_env.settings.config import load_config
from verl_env.settings.mirrors import mirrored

if TYPE_CHECKING:
    from collections.abc import Mapping

_GIT = "git+"
_WEB = frozenset({"http", "https", "file"})
#: The proxy, and not the server behind it, answers so.
_PROXY_ASKS = 407
#: What ``git`` may say before what is wrong.
_PREFIXES = ("fatal: ", "error: ", "remote: ")
#: Words of git where the host is out of reach, and not the repository absent.
_LOST = ("resolve", "connect", "timed out", "refused", "unreachable", "ssl", "proxy")


@record
class Place:
    """Where an address is asked: ``url`` is that of its mirror where one is configured, ``git`` a repository.

    With ``installer`` it is a project on the package index of ``uv`` or ``pip``, and ``url`` the name of the project:
    which index that is, is found out when it is asked. ``mirror_of`` is the address for which a mirror is asked.
    """

    url: str
    git: bool = False
    proxies: Mapping[str, str] = NOTHING
    installer: str = ""
    mirror_of: str = ""

    @property
    def said(self) -> str:
        """The host in words: with that of the address where a mirror stands for it."""
        if not self.mirror_of:
            return self.host
        mirror, origin = urlsplit(self.url), urlsplit(self.mirror_of.removeprefix(_GIT))
        return f"{mirror.scheme}://{self.host} (mirror of {origin.scheme}://{origin.hostname}/)"

    @property
    def host(self) -> str:
        """The host, which is what several addresses share."""
        if self.installer:
            return f"the package index of {self.installer}"
        return urlsplit(self.url).netloc.rpartition("@")[2] or "this machine"


@record
class Answer:
    """What came of asking: ``reason`` None says that it is there; ``host`` that the reason is of the whole host."""

    reason: str | None = None
    host: bool = False


THERE = Answer()


def place_of(address: str) -> Place | None:
    """Where an address is asked; None for what cannot be asked in this way.

    Raises:
        ConfigError: the configuration cannot be used.
    """
    if address.startswith(_GIT):
        url, at, ref = mirrored(address).removeprefix(_GIT).rpartition("@")
        whole = url if at and "/" not in ref else mirrored(address).removeprefix(_GIT)
        return Place(whole, git=True, mirror_of=_origin(address))
    fetched = mirrored(address)
    return Place(fetched, mirror_of=_origin(address)) if urlsplit(fetched).scheme in _WEB else None


def _origin(address: str) -> str:
    """The address itself where a mirror stands for it; else nothing."""
    return "" if mirrored(address) == address else address


def probe(place: Place, seconds: float) -> Answer:
    """Asks one place; takes little more than the time that it is given, name resolution apart.

    Of a file its first byte is asked for: servers that sign addresses for one method refuse HEAD.
    """
    if place.installer:
        return _project(place, seconds)
    return _git(place, seconds) if place.git else _web(place, seconds)


def _project(place: Place, seconds: float) -> Answer:
    """Whether an index has a project; where an installer has other places to look, that says nothing."""
    import os  # noqa: PLC0415

    from verl_env.installers.configured import index_of  # noqa: PLC0415

    index = index_of(place.installer, os.environ)
    if not index.sole or urlsplit(index.url).scheme not in _WEB:
        return THERE
    return _web(Place(index.page(place.url), proxies=index.proxies), seconds)


def _web(place: Place, seconds: float) -> Answer:
    from http.client import HTTPException  # noqa: PLC0415  only where something is asked
    from urllib.error import HTTPError, URLError  # noqa: PLC0415
    from urllib.request import ProxyHandler, Request, build_opener  # noqa: PLC0415

    headers = {"User-Agent": f"verl-env/{__version__}", "Range": "bytes=0-0"}
    opener = build_opener(*([ProxyHandler(dict(place.proxies))] if place.proxies else []))
    try:
        # An address of a lockset, a recipe, or the user's own table.
        with opener.open(Request(place.url, headers=headers), timeout=seconds):  # noqa: S310
            return THERE
    except HTTPError as error:
        error.close()
        return Answer(f"{place.said} answers {error.code} {error.reason}".rstrip(), host=error.code == _PROXY_ASKS)
    except (URLError, OSError, ValueError, HTTPException) as error:
        return Answer(f"{place.said} {_reason(error, seconds)}", host=urlsplit(place.url).scheme != "file")


def _git(place: Place, seconds: float) -> Answer:
    """Git itself asks, with the user's proxy and address rules, as it does when it fetches."""
    import os  # noqa: PLC0415

    from verl_env.builds.sources import git_variables  # noqa: PLC0415
    from verl_env.machine.child import Completed, NotFound, run  # noqa: PLC0415

    env = {**os.environ, **git_variables(load_config().mirrors)}
    outcome = run(("git", "ls-remote", place.url, "HEAD"), deadline=time.monotonic() + seconds, env=env)
    if isinstance(outcome, NotFound):
        return THERE  # that there is no git is for the tools of the build to say
    if not isinstance(outcome, Completed):
        return Answer(f"{place.said} {silent(seconds)}", host=True)
    if outcome.returncode == 0:
        return THERE
    lines = [line for line in outcome.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    said = next((line for line in lines if line.startswith("fatal: ")), lines[0] if lines else "git failed")
    for prefix in _PREFIXES:
        said = said.removeprefix(prefix)
    lost = any(word in said.lower() for word in _LOST)
    return Answer(f"{place.said} {'cannot be reached' if lost else 'does not give it'} ({said.strip()})", host=lost)


def silent(seconds: float) -> str:
    """What is said of a host that does not answer."""
    return f"did not answer within {seconds:.0f} s"


def _reason(error: Exception, seconds: float) -> str:
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError | socket.timeout):
        return silent(seconds)
    words = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return f"cannot be reached ({words})"
