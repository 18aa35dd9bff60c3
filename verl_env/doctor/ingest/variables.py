"""Environment variables from pasted text: ``export A=b``, ``A=b command``, ``os.environ["A"] = "b"``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAIR = r"""(?P<name>[A-Za-z_][A-Za-z0-9_]{2,})=(?P<value>"[^"\n]*"|'[^'\n]*'|[^\s"';&|]*)"""
_ASSIGN = re.compile(rf"^\s*(?:[$#%>]\s+|\++\s+)?(?:\S*[$#]\s+)?(?:(?:export|declare -x|env|set)\s+)?{_PAIR}")
_NEXT = re.compile(rf"\s+{_PAIR}")
_PYTHON = re.compile(r"""os\.environ\[\s*["'](?P<name>\w+)["']\s*\]\s*=\s*["'](?P<value>[^"'\n]*)["']""")
_KNOWN_LOWER = frozenset({"http_proxy", "https_proxy", "no_proxy", "all_proxy"})
_UNSET = re.compile(r"^\s*(?:[$#]\s+)?unset\s+(?P<names>[A-Z_][A-Z0-9_ ]+)$")
#: vLLM's collect_env sets these itself before it prints the environment; they say nothing of the user's shell.
_OWN = frozenset({"NCCL_CUMEM_ENABLE", "PYTORCH_NVML_BASED_CUDA_CHECK", "TORCHINDUCTOR_COMPILE_THREADS"})


def read_variables(text: str) -> dict[str, str]:
    """The variables that a cleaned text sets, last one wins; an empty value is known to be unset."""
    found: dict[str, str] = {}
    by_collect_env = "vLLM Build Flags" in text or "PYTORCH_NVML_BASED_CUDA_CHECK=" in text
    for line in text.split("\n"):
        pairs = {name: value for name, value in _line(line) if _is_variable(name)}
        found.update({name: value for name, value in pairs.items() if not (by_collect_env and name in _OWN)})
        unset = _UNSET.match(line)
        if unset:
            found.update(dict.fromkeys(unset["names"].split(), ""))
    return found


def _line(line: str) -> Iterator[tuple[str, str]]:
    for found in _PYTHON.finditer(line):
        yield found["name"], found["value"]
    match = _ASSIGN.match(line)
    while match is not None:
        yield match["name"], match["value"].strip("\"'")
        match = _NEXT.match(line, match.end())


def _is_variable(name: str) -> bool:
    return (name.isupper() and ("_" in name or name in {"TMPDIR", "PATH", "CC", "CXX"})) or name in _KNOWN_LOWER
