"""``nvidia-smi`` as a second witness: run when NVML left something open."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from verl_env.machine.child import Abandoned, Completed, TimedOut
from verl_env.machine.executables import find, search_path
from verl_env.machine.nvidia.reading import GpuReading, address_of, text_of
from verl_env.machine.nvidia.smi_csv import FIELDS, parse_smi_csv, parse_smi_list
from verl_env.machine.nvidia.smi_xml import parse_smi_xml
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verl_env.machine.child import Children, Outcome
    from verl_env.machine.nvidia.reading import Reading
    from verl_env.machine.roots import Roots

#: Bytes of its output that are read; the XML takes some 70 KiB for each GPU.
MAX_BYTES = 2 << 20
#: What nvidia-smi prints instead of an answer; the words have stayed the same over its versions, the codes have not.
MESSAGES = {
    "mismatch": re.compile(r"Driver/library version mismatch", re.IGNORECASE),
    "no-devices": re.compile(r"No devices were found", re.IGNORECASE),
    "no-driver": re.compile(r"couldn't communicate with the NVIDIA driver", re.IGNORECASE),
    "no-library": re.compile(r"couldn't find libnvidia-ml", re.IGNORECASE),
    "no-permission": re.compile(r"Insufficient Permissions", re.IGNORECASE),
    "failed": re.compile(r"Failed to initialize NVML: ([^\n]*)", re.IGNORECASE),
}

_LIBRARY = re.compile(r"NVML library version: (\d+(?:\.\d+)*)", re.ASCII)
_LOST = re.compile(r"Unable to determine the device handle for (?:GPU ?)?([0-9A-Fa-f:.]+): (.+)")
_PLACES = ("/usr/bin", "/usr/lib/wsl/lib", "/usr/local/nvidia/bin", "/opt/bin", "/run/current-system/sw/bin")


@record
class SmiAnswer:
    """What nvidia-smi said.

    Args:
        readings: Its facts, best first.
        said: The messages that it printed, by their keys in ``MESSAGES``, with the words after the colon.
        library: The version of the NVML library that a mismatch names.
        lost: GPUs that it could not reach.
        hung: Seconds after which it was killed; None when it ended by itself or was not there.
        killable: False when the kernel did not let it go.
    """

    readings: tuple[Reading, ...] = ()
    said: Mapping[str, str] | None = None
    library: str | None = None
    lost: tuple[GpuReading, ...] = ()
    hung: float | None = None
    killable: bool = True

    def says(self, key: str) -> bool:
        """Whether it printed one of the ``MESSAGES``."""
        return key in (self.said or {})


def ask_smi(children: Children, roots: Roots, env: Mapping[str, str]) -> SmiAnswer | None:
    """Run nvidia-smi in its three forms side by side; None when there is none."""
    path = find(roots, (*search_path(env), *_PLACES), "nvidia-smi")
    if path is None:
        return None
    program = roots.path(path)
    forms = (["-q", "-x"], [f"--query-gpu={','.join(FIELDS)}", "--format=csv"], ["-L"])
    started = [children.start([program, *form], env=env, max_bytes=MAX_BYTES) for form in forms]
    return read_smi([children.wait(child) for child in started])


def read_smi(outcomes: Sequence[Outcome]) -> SmiAnswer:
    """The answer of the three forms; a failed one is read all the same, as it may list the GPUs that still work."""
    parsers = (parse_smi_xml, parse_smi_csv, parse_smi_list)
    outputs = [outcome.stdout if isinstance(outcome, (Completed, TimedOut, Abandoned)) else b"" for outcome in outcomes]
    errors = [outcome.stderr if isinstance(outcome, (Completed, TimedOut, Abandoned)) else b"" for outcome in outcomes]
    xml, csv, listed = (parse(output) for parse, output in zip(parsers, outputs, strict=True))
    hung = [outcome for outcome in outcomes if isinstance(outcome, (TimedOut, Abandoned))]
    said, library, lost = parse_messages(b"\n".join(outputs + errors))
    return SmiAnswer(
        readings=(csv, xml, listed),
        said=said,
        library=library,
        lost=lost,
        hung=max((outcome.seconds for outcome in hung), default=None),
        killable=not any(isinstance(outcome, Abandoned) for outcome in hung),
    )


def parse_messages(data: bytes | str) -> tuple[Mapping[str, str], str | None, tuple[GpuReading, ...]]:
    """The messages in an output, the library version of a mismatch, and the GPUs that could not be reached."""
    text = text_of(data)
    matches = {key: pattern.search(text) for key, pattern in MESSAGES.items()}
    said = {key: (match[1].strip() if match.re.groups else "") for key, match in matches.items() if match}
    library = _LIBRARY.search(text)
    lost = {address_of(match[1]): match[2].strip() for match in _LOST.finditer(text)}
    gone = tuple(GpuReading(address=address, lost=why) for address, why in lost.items() if address)
    return said, library[1] if library else None, gone
