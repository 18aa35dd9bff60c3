"""The lines of a build's output that say why it failed: pip and ninja put much after them that says nothing."""

from __future__ import annotations

import re

from verl_env.installers.classify import tail

#: Errors that are shown; the first cause the others.
LINES = 6

_ERROR = re.compile(
    r"\b(?:fatal )?error(?::| #| at )|undefined reference|undefined symbol|internal compiler error|CMake Error"
    r"|\bKilled\b|\b(?:Import|ModuleNotFound|Runtime|Memory|OS|FileNotFound)Error: |No space left|quota exceeded"
    r"|No matching distribution|patch does not apply|FAILED at \d",
)
#: What frontends say of any failure.
_EMPTY = re.compile(
    r"subprocess-exited-with-error|metadata-generation-failed|Error compiling objects for extension"
    r"|Failed (?:building|to build)|finished with status|error originates from a subprocess|returned non-zero exit"
)


def log_excerpt(output: str) -> list[str]:
    """The first errors of an output; its last lines where none is to be seen."""
    lines = (line.strip() for line in output.splitlines())
    found = [line for line in lines if _ERROR.search(line) and not _EMPTY.search(line)]
    return list(dict.fromkeys(found))[:LINES] or tail(output)
