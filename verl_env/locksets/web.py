"""The one door to the web: connections that are kept, the proxies and certificates of this host, faults in words.

Added to urllib3 is what urllib does and it does not: the proxy of each address from the variables of this host,
at each redirection anew, and ``file:`` addresses, such as a mirror may have.
"""

from __future__ import annotations

import time
from functools import cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

from verl_env import __version__
from verl_env.locksets.errors import IndexUnreachableError
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3 import BaseHTTPResponse, PoolManager

TIMEOUT = 60
ATTEMPTS = 4
#: Connections to one host that are kept: more than any part of verl-env uses side by side.
_KEPT = 16
_REDIRECTS = 10
#: Answers after which the same request may succeed.
_TRY_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
#: Bytes as the server sends them, and no second attempt that nobody asked for.
_AS_IT_COMES: dict[str, Any] = {
    "redirect": False, "retries": False, "preload_content": False, "decode_content": False,
    "enforce_content_length": False,
}  # fmt: skip


class WebError(Exception):
    """An address cannot be read; the text is a clause about it, such as ``answers 404 Not Found``.

    ``status`` is what the server answered, None where none did; ``passing`` whether another attempt may help.
    """

    def __init__(self, words: str, *, status: int | None = None, passing: bool = True) -> None:
        super().__init__(words)
        self.status, self.passing = status, passing


@record
class WebAnswer:
    """What an address gives, to be read once, as a context; names of ``headers`` are in lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    _source: Any

    def __enter__(self) -> WebAnswer:  # noqa: PYI034  typing has no Self in 3.10
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()

    @property
    def length(self) -> int | None:
        """The bytes that are to come, where the server says it."""
        said = self.headers.get("content-length", "")
        return int(said) if said.isdigit() else None

    def read(self, count: int | None = None) -> bytes:
        """So many bytes, or all; none at the end.

        Raises:
            WebError: the connection broke off.
        """
        with _worded("broke off"):
            return bytes(self._source.read(count))


@record
class Response:
    """The answer to one request; header names are in lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    content: bytes


def fetch(address: str, headers: Mapping[str, str] | None = None) -> Response:
    """The content of an address; tried a few times, as indices have bad moments.

    Raises:
        IndexUnreachableError: every attempt failed, or the server says that it is not there.
    """
    for attempt in range(1, ATTEMPTS):
        try:
            return _fetch_once(address, headers or {})
        except IndexUnreachableError as error:
            if not error.passing:
                raise
        time.sleep(2**attempt / 2)
    return _fetch_once(address, headers or {})


def open_url(
    address: str, *, timeout: float, headers: Mapping[str, str] | None = None, method: str = "GET"
) -> WebAnswer:
    """Asks for an address; threads may ask side by side.

    Args:
        address: ``http``, ``https`` or ``file``; a user and password in it are sent to its host alone.
        timeout: Seconds without a byte before a server counts as silent.
        headers: Added to the request.
        method: ``GET`` or ``HEAD``.

    Raises:
        WebError: it cannot be read, or the server answers that it does not give it.
    """
    if urlsplit(address).scheme == "file":
        return _file(address)
    for _ in range(_REDIRECTS):
        answer = _ask(address, timeout, {"User-Agent": f"verl-env/{__version__}", **(headers or {})}, method)
        further = answer.get_redirect_location()
        if not further:
            return _checked(address, answer)
        answer.drain_conn()
        address = urljoin(address, further)
    raise WebError(f"leads on and on, at last to {address}", passing=False)


def _checked(address: str, answer: BaseHTTPResponse) -> WebAnswer:
    if answer.status >= HTTPStatus.BAD_REQUEST:
        answer.drain_conn()
        passing = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in _TRY_AGAIN
        words = f"answers {answer.status} {answer.reason or ''}".rstrip()
        raise WebError(words, status=answer.status, passing=passing)
    return WebAnswer(address, answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer)


def _ask(address: str, timeout: float, headers: Mapping[str, str], method: str) -> BaseHTTPResponse:
    """One request, on a kept connection where there is one; a second where that was closed meanwhile."""
    from urllib3.exceptions import ProtocolError  # noqa: PLC0415  only who asks the web loads it

    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise WebError(f"cannot be reached ({address} is no address of the web)", passing=False)
    if parts.username:
        from urllib3 import make_headers  # noqa: PLC0415

        own = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers = {**headers, **make_headers(basic_auth=own)}
        address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    with _worded("cannot be reached"):
        pools = _pools(_proxy_of(parts.scheme, parts.hostname))
        ask = partial(pools.request, method, address, headers=headers, timeout=timeout, **_AS_IT_COMES)
        try:
            return ask()
        except ProtocolError:
            return ask()


def _proxy_of(scheme: str, host: str) -> str | None:
    """The proxy that the variables of this host name for an address."""
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415

    proxy = getproxies().get(scheme)
    if not proxy or proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


@cache
def _pools(proxy: str | None) -> PoolManager:
    """The connections through a proxy, or without one. The certificates of this host are read once: that takes long."""
    from ssl import create_default_context  # noqa: PLC0415

    from urllib3 import PoolManager, ProxyManager, make_headers  # noqa: PLC0415

    options: dict[str, Any] = {"maxsize": _KEPT, "ssl_context": create_default_context()}
    if proxy is None:
        return PoolManager(**options)
    parts = urlsplit(proxy)
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
    return ProxyManager(proxy, proxy_headers=make_headers(proxy_basic_auth=login), **options)


class _worded:  # noqa: N801  a context manager that costs nothing for each chunk
    """Makes a ``WebError`` of whatever goes wrong inside."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        """Nothing is to be done."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        from http.client import HTTPException  # noqa: PLC0415

        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        if isinstance(error, (HTTPError, HTTPException, OSError, ValueError)):
            cause = _cause(error)
            words = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
            raise WebError(f"{self._what} ({words})", passing=not isinstance(error, ValueError)) from error


def _cause(error: BaseException) -> BaseException:
    """The innermost fault: what urllib3 says of it names its own objects."""
    inner = error.__cause__ or next((each for each in error.args if isinstance(each, BaseException)), None)
    return error if inner is None else _cause(inner)


def _file(address: str) -> WebAnswer:
    from urllib.error import URLError  # noqa: PLC0415
    from urllib.request import urlopen  # noqa: PLC0415

    try:
        source = urlopen(address)  # noqa: S310  a file
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise WebError(f"cannot be read ({getattr(reason, 'strerror', None) or reason})", passing=False) from error
    headers = {name.lower(): value for name, value in source.headers.items()}
    return WebAnswer(address, HTTPStatus.OK, headers, source)


def _fetch_once(address: str, headers: Mapping[str, str]) -> Response:
    try:
        with open_url(address, timeout=TIMEOUT, headers=headers) as answer:
            return Response(answer.url, answer.status, answer.headers, answer.read())
    except WebError as error:
        reason = f"HTTP {error.status}" if error.status else str(error)
        raise IndexUnreachableError(address, reason, passing=error.passing) from error
