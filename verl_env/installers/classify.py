"""From the output of an installer that failed to an error with an id: one table for uv and pip.

The first row that matches decides, so that causes come before their consequences: pip says "no matching distribution"
after a refused connection too. The texts are those of uv 0.9 to 0.13 and pip 25.3 to 26.3.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.environment.errors import DiskFullError
from verl_env.installers import failures
from verl_env.locksets.errors import IndexUnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from verl_env.errors import VerlEnvError

    Build: TypeAlias = Callable[[str, re.Match[str]], VerlEnvError]

#: Lines of output that an error shows.
TAIL = 15

_PACKAGE = (
    r"(?:Failed to download(?: and build)?|Failed to build|Failed to install:.*\() ?`?([A-Za-z0-9._-]+(?:==[^`\s)]+)?)",
    r"Could not install requirement ([A-Za-z0-9._-]+(?:==\S+)?)",
    r"Failed to build '?([A-Za-z0-9._-]+)",
    r"(?:satisfies the requirement|No matching distribution found for) ([A-Za-z0-9._-]+(?:==\S+)?)",
    r"Because (?:there is no version of )?([A-Za-z0-9._-]+(?:==[^\s,]+)?)",
    r"^[ \t]+([A-Za-z0-9._-]+==\S+) from ",
)
_ADDRESS = re.compile(r"https?://[^\s`'\")<>]+")
_PATH = re.compile(r"[`'](/[^`'\n]+)[`']|\s(/[^\s:`']+)")


def classify(installer: str, command: tuple[str, ...], code: int, output: str) -> VerlEnvError:
    """The error that an output stands for.

    Args:
        installer: ``uv`` or ``pip``.
        command: What was run.
        code: Its exit code.
        output: The end of what it printed, as plain text.

    Returns:
        An error to raise; ``InstallerFailedError`` where no row matches.
    """
    for pattern, build in _TABLE:
        match = re.search(pattern, output, re.MULTILINE)
        if match is not None:
            return build(output, match)
    return failures.InstallerFailedError(installer, command, code, tail(output))


def tail(output: str) -> list[str]:
    """The last lines of an output that say something."""
    return [line for line in output.splitlines() if line.strip()][-TAIL:]


def _package(output: str) -> str:
    found = (re.search(pattern, output, re.MULTILINE) for pattern in _PACKAGE)
    return next((match[1] for match in found if match is not None), "")


def _address(output: str) -> str:
    found = _ADDRESS.findall(output)
    return found[-1].rstrip(".,") if found else "the index"


def _line(output: str, match: re.Match[str]) -> str:
    """The line that a match is in, without the prefix of its installer."""
    start = output.rfind("\n", 0, match.start()) + 1
    end = output.find("\n", match.end())
    line = output[start : end if end >= 0 else len(output)]
    return re.sub(r"^\s*(?:ERROR:|error:|cause:|Caused by:|\\W+)\s*", "", line).strip()


def _disk(output: str, match: re.Match[str]) -> VerlEnvError:
    named = ["".join(groups) for groups in _PATH.findall(output[: match.start()])]
    return DiskFullError(Path(named[-1]) if named else None, quota="uota" in match[0] or "122" in match[0])


def _hash(output: str, _: re.Match[str]) -> VerlEnvError:
    expected = re.search(r"Expected:?\s+(?:or\s+)?(\w+)[: ]+([0-9a-f]{32,})", output)
    actual = re.search(r"(?:Computed:|Got)\s+(?:(sha\d+):)?([0-9a-f]{32,})", output)
    return failures.HashMismatchError(
        _package(output),
        f"{expected[1]}:{expected[2]}" if expected else "another hash",
        f"{actual[1] or (expected[1] if expected else 'sha256')}:{actual[2]}" if actual else "another hash",
    )


def _interrupted(output: str, _: re.Match[str]) -> VerlEnvError:
    return failures.DownloadInterruptedError(_package(output) or _address(output))


def _missing(output: str, match: re.Match[str]) -> VerlEnvError:
    return failures.IndexFileMissingError(_package(output), _line(output, match))


def _denied(output: str, match: re.Match[str]) -> VerlEnvError:
    return failures.IndexDeniedError(_address(output), match[0])


def _unreachable(output: str, match: re.Match[str]) -> VerlEnvError:
    return IndexUnreachableError(_address(output), _line(output, match))


def _build(output: str, _: re.Match[str]) -> VerlEnvError:
    return failures.BuildFailedError(_package(output), tail(output))


_INTERRUPTED = (
    r"end of file before message length|incomplete-download|IncompleteRead|Connection broken|unexpected EOF"
    r"|connection closed before message completed|Connection reset by peer \(os error 104\)|ConnectionResetError"
    r"|error decoding response body|operation timed out|ReadTimeoutError|Read timed out"
)
_DENIED = r"40[13] (?:Unauthorized|Forbidden|Client Error)|HTTP error 40[13]\b|407 Proxy Authentication Required"
_GONE = r"404 Not Found|HTTP error 404\b|404 Client Error|HTTP error 410\b|410 Gone"
_UNREACHABLE = (
    r"dns error|failed to lookup address|Name or service not known|Temporary failure in name resolution"
    r"|tcp connect error|Connection refused|NewConnectionError|ConnectTimeoutError|Network is unreachable"
    r"|not a trusted or secure host|certificate verify failed|invalid peer certificate|SSLError|ProxyError"
    r"|5\d\d (?:Internal Server Error|Bad Gateway|Service Unavailable|Gateway Timeout)|too many 5\d\d error"
    r"|5\d\d Server Error|Failed to fetch: |error sending request for url"
)
_UNBUILT = (
    r"The build backend returned an error|Failed to build|subprocess-exited-with-error"
    r"|Failed to resolve requirements from|metadata-generation-failed"
)
_UNSERVED = (
    r"was not found in the (?:package registry|provided package locations|cache)|there is no version of"
    r"|has no wheels with a matching|No matching distribution found|No solution found|network was disabled"
)
_TABLE: tuple[tuple[str, Build], ...] = (
    (r"No space left on device|os error 28\b|Errno 28\b", _disk),
    (r"[Qq]uota exceeded|os error 122\b|Errno 122\b", _disk),
    (r"Hash mismatch for|DO NOT MATCH THE HASHES", _hash),
    (_INTERRUPTED, _interrupted),
    (_DENIED, _denied),
    (_GONE, _missing),
    (_UNREACHABLE, _unreachable),
    (_UNBUILT, _build),
    (_UNSERVED, _missing),
)
