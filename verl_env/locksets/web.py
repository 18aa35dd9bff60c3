"""Requests to an index: whole files or ranges, tried again where the server stumbles."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from ssl import create_default_context
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import HTTPSHandler, OpenerDirector, Request, build_opener

from verl_env.locksets.errors import IndexUnreachableError

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT = 60
ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
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


def open_url(request: Request, timeout: float) -> Any:
    """The answer to a request, as ``urllib.request.urlopen`` gives it; threads may ask side by side.

    The certificates of this host are read once: reading them takes longer than most requests.

    Raises:
        OSError: as ``urlopen``.
        ValueError: it is no address.
    """
    return _opener().open(request, timeout=timeout)


@cache
def _opener() -> OpenerDirector:
    return build_opener(HTTPSHandler(context=create_default_context()))


def _fetch_once(address: str, headers: Mapping[str, str]) -> Response:
    try:
        with open_url(Request(address, headers=dict(headers)), TIMEOUT) as answer:  # noqa: S310
            found = {name.lower(): value for name, value in answer.headers.items()}
            return Response(answer.url, getattr(answer, "status", None) or HTTPStatus.OK, found, answer.read())
    except HTTPError as error:
        error.close()
        passing = error.code >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code == HTTPStatus.TOO_MANY_REQUESTS
        raise IndexUnreachableError(address, f"HTTP {error.code}", passing=passing) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        passing = not isinstance(reason, (FileNotFoundError, ValueError))
        raise IndexUnreachableError(address, str(reason), passing=passing) from error
