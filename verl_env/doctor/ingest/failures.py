"""Where a text shows that something failed: the line that says so, the file it comes from, and whose file that is.

This knows the grammar of failures (tracebacks, compilers, the loader, launchers), not their causes: it decides whether
a text holds a failure at all, so that one which no check explains is not taken for health.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FRAME = re.compile(r'^\s*File "(?P<path>[^"\n]+)"(?:, line (?P<line>\d+))?')
_OF_IMPORT = re.compile(r"^<|/importlib/|/runpy\.py$|/multiprocessing/|/concurrent/futures/|/asyncio/")
_INSIDE = re.compile(r"(?:site|dist)-packages/(?P<top>[A-Za-z_][\w.-]*?)(?:/|\.(?:abi3|cpython|so|py))")
_SOURCE = re.compile(r"(?<![\w./+-])(?P<path>[\w./+-]+\.(?:cuh?|cc|cpp|c|h|hpp|py))(?:[:(]\d+|\b)")
_OBJECT = re.compile(r"(?<![\w./+-])(?P<path>[\w./+-]+\.so(?:\.\d+)*)\b")
#: The line of an exception: its class, then its message. Warnings and what ends a program on purpose are none.
_RAISED = re.compile(
    r"^\s{0,8}(?:E\s{1,6}|\|\s*)?(?:[a-zA-Z_][\w.]*\.)?[A-Z]\w*(?:Error|Exception|Failure|Died|Timeout|Mismatch|Unavailable"
    r"|NotFound|OutOfMemory|Refused)(?:\([\w,. =]{0,80}\))?(?::\s|$)"
)
#: The same where a frame of a traceback is above it: an exception of any name.
_ENDS = re.compile(r"^[A-Za-z_][\w.]*(?:: \S|:?$)")
_MARKS = re.compile(r"^[\s^~]*$")
#: What a program says once it runs: what failed before it and did not end it was no failure.
_STARTED = re.compile(
    r"Application startup complete|Uvicorn running on|The server is fired up and ready to roll"
    r"|\"(?:GET|POST) \S+ HTTP/1\.[01]\" 200|\bstep:\d+ - "
)
#: What programs say when they fail, wherever in a line; the strongest first, as the first kind that is met is told.
_SAID: tuple[re.Pattern[str], ...] = (
    re.compile(r"undefined symbol:|cannot open shared object file|=> not found\b|\bsymbol lookup error\b"),
    re.compile(r"\b(?:CUDA|HIP|NCCL|cuDNN|CUBLAS|NVML)\s?(?:runtime |driver )?(?:error|failure)\b", re.IGNORECASE),
    re.compile(
        r"\b(?:cuda|hip|nvml|nccl|cudnn|cublas)\w*Error\w*\b|\b(?:CUDA|HIP|CUBLAS|CUDNN|NVML)_(?:ERROR|STATUS)_(?!SUCCESS)\w+"
    ),
    re.compile(r"(?:^|\s)Error \d{1,4}: "),
    re.compile(r"(?:^|[\s:])(?:fatal )?error(?:\[[\w-]+\]|\s?#?[A-Z]{0,2}\d{1,5})?\s?:\s?\S", re.IGNORECASE),
    re.compile(r"^(?:[\w./+-]{1,80}:\s?)?(?:fatal|FATAL|CRITICAL|panic)\b\s?[:!]", re.MULTILINE),
    re.compile(r"\[\w+\] CRITICAL:"),
    re.compile(r"\b(?:Segmentation fault|core dumped|Bus error|Floating point exception|Illegal instruction)\b"),
    re.compile(r"^(?:\S{1,60}\s)?(?:Killed|Aborted|Terminated)(?:$|\s+\()"),
    re.compile(r"\[\d[^\]\n]{8,40} [EC] \d+ \d+\] |\b\w+\.cc:\d+: +(?:Could not|Failed to|Unable to)\b"),
    re.compile(
        r"\bpage fault\b|PERMISSION_FAULTS|\bGPU reset\b|\bsegfault at\b|\block-?up\b|\bNVRM: Xid\b|\bKernel panic\b"
    ),
    re.compile(r"\b(?:OOMKilled|FailedScheduling|CrashLoopBackOff|\w*ImagePull\w*|CreateContainer\w*Error)\b"),
    re.compile(
        r"\bDUE TO (?:NODE FAILURE|PREEMPTION)\b|\bmodule\(s\) are unknown\b|\bPMIX ERROR\b|\bcollective abort\b"
        r"|\bUnable to locate (?:a modulefile|package)\b|\bOMP: Error\b|\bpartially initialized module\b"
        r"|\bcorrupted compilation artifact\b|\bbad interpreter\b|\bOpenSSL version mismatch\b"
    ),
    re.compile(
        r"\b(?:exit(?:ed)?(?: with)?(?: non-zero)?(?: exit)? (?:code|status)[ :=]{1,3}|returncode[ =]{1,3})(?!0\b)-?\d+"
    ),
    re.compile(
        r"\bFailed to (?:build|import|load|initiali[sz]e|infer|find|connect|register|start|compile|launch|open"
        r"|create)\b"
    ),
    re.compile(
        r"\bninja: build stopped|\bmake: \*\*\*|^FAILED: |\bcould not build wheels|\bsubprocess-exited-with-error"
    ),
    re.compile(r"\bNo solution found\b|\bNo matching distribution found\b|\bResolutionImpossible\b"),
    re.compile(r"\bNo available node types can fulfill\b|\bcannot be scheduled\b|\bInsufficient resources\b"),
    re.compile(r"\bNCCL WARN\b"),
    re.compile(r"^[EF]\d{4} \d\d:\d\d:\d\d\.\d+\s+\d+ \S+:\d+\] |^Value error, |\bUCX\s+(?:ERROR|FATAL)\b"),
    re.compile(r"\bAssertion [`'].{2,300}' failed|^terminate called after throwing|\bnon-zero status: [1-9]"),
    re.compile(r"\bCheck failed: |\*\*\* (?:StackTrace Information|Aborted at|SIG[A-Z]+ )"),
    re.compile(r"\bOut of memory: Kill|\boomd\b[^\n]{0,200}\bKilled\b|invoked oom-killer", re.IGNORECASE),
    re.compile(r"^Could not (?:find|load|import|open|connect|create)\b"),
    re.compile(
        r"^Host key verification failed|\bwas unable to reliably start\b|\bcommand not found$"
        r"|\bPermission denied\b|\bNo space left on device\b"
        r"|\bConnection (?:refused|timed out|reset)\b"
    ),
)
#: Without one of these a line tells no failure; it spares most lines all that is above.
_MAY = re.compile(
    r"err|exc|fail|die|time|mismatch|unavail|found|memory|refus|symbol|cannot|not|n't|unable|crash|seg|hang|kill|abort"
    r"|terminat|fatal|critical|panic|dump|bus|illegal|float|exit|returncode|stopped|make|wheel|solution|impossible|warn"
    r"|resources|scheduled|assert|check|\*\*\*|oom|could|denied|space|connect|status|ucx|fault|reset|lock|xid|sched|image|partial|corrupt|interpreter|locate"
    r"|due to",
    re.IGNORECASE,
)
#: What people write of a failure where they paste none.
_TOLD = re.compile(
    r"\b(?:does(?: not|n't)|will not|won't|can(?:not|'t)|fail(?:s|ed)? to|unable to) (?:even )?"
    r"(?:start|launch|import|load|install|build|run|boot)\b"
    r"|\b(?:crash(?:es|ed)?|segfault(?:s|ed)?|hangs forever)\b",
    re.IGNORECASE,
)
#: Lines that only look like it: progress, code, what a logger says of itself, requests, a count of none.
_NOT = re.compile(
    r"^\s*(?:#|//|raise\b|except\b|assert\b|return\b|def\b|class\b|if\b|elif\b|print\(|log(?:ger|ging)?\.|import\b"
    r"|from\b|echo\b|\$|>>>|DEBUG\b|INFO\b|Exception ignored in|frame #\d|W\d{4} )"
    r"|\b(?:0|no) errors?\b|\berror[_ ](?:rate|bars?|handling|code 0)\b|\berrors?=0\b|Warning: "
    r"|\b(?:without|any|no|an|the) error:",
    re.IGNORECASE,
)
_IGNORED = re.compile(r"^\s*(?:Exception ignored in|--- Logging error ---)")
_HEAD = "Traceback (most recent call last):"
_LATE = re.compile(
    r"Engine core initialization failed|EngineCore failed to start|See root cause above|ActorDiedError|RayTaskError"
    r"|ChildFailedError|\*\*\* (?:StackTrace Information|Aborted at|SIG)"
    r"|CalledProcessError|EngineDeadError|subprocess-exited-with-error|ninja: build stopped|exit(?:ed)? (?:code|status)"
    r"|Failed core proc"
    r"|SystemExit|KeyboardInterrupt|Worker\w* died|Failed to build\b|The actor died|SIGQUIT received|EOFError"
    r"|BrokenPipeError"
)
_LONGEST = 300
_MOST = 5


@record
class Failure:
    """One failure that a text shows.

    Attributes:
        line: The line that says so.
        package: The distribution whose file it comes from, by the name of its top module; None where nothing tells.
        file: That file, from ``site-packages`` on where it is below it.
        told: Whether a person says so in words, without a message of a program.
        late: Whether it is the echo of another failure (a parent that saw its child die).
    """

    line: str
    package: str | None = None
    file: str | None = None
    told: bool = False
    late: bool = False


def failures(text: str) -> tuple[Failure, ...]:
    """The failures that a cleaned text shows, in the order of what tells most: causes first, echoes after them."""
    found = dict.fromkeys(_read(text.split("\n")))
    ranked = sorted(found, key=lambda one: (one.told, one.late))
    said = [one for one in ranked if not one.told]
    return tuple((said or ranked)[:_MOST])


def survived(text: str) -> bool:
    """Whether a program that a cleaned text shows failures of ran afterwards, and nothing failed then."""
    started = [match.end() for match in _STARTED.finditer(text)]
    if not started or any(True for _ in _read(text[started[-1] :].split("\n"))):
        return False
    return not any(one.told for one in _read(text.split("\n")))


def _read(lines: Sequence[str]) -> Iterator[Failure]:
    frame: str | None = None
    ignored, source = False, ""
    for number, line in enumerate(lines):
        if line.strip() == _HEAD:
            frame, ignored = None, number > 0 and bool(_IGNORED.match(lines[number - 1]))
            continue
        if (match := _FRAME.match(line)) is not None:
            if not _OF_IMPORT.search(match["path"]):
                frame = match["path"]
            source = ""
            continue
        if frame and line.startswith((" ", "\t")) and not _MARKS.match(line):
            source = source or line.strip()
        if (words := _words(line, in_traceback=frame is not None)) is not None:
            if not (ignored and words == "raised"):
                bare = words == "raised" and source and ": " not in line
                yield _failure(f"{line.strip()} ({source})" if bare else line.strip(), frame, told=words == "told")
            frame, ignored = (None, False) if words == "raised" else (frame, ignored)


def _words(line: str, *, in_traceback: bool) -> str | None:
    """How a line tells a failure: as an exception, in the words of a program, in those of a person; None for none."""
    if not line or not line.strip():
        return None
    if (_RAISED.match(line) or (in_traceback and _ENDS.match(line))) and not _NOT.match(line):
        return "raised"
    if (in_traceback and line.startswith((" ", "\t"))) or not _MAY.search(line) or _NOT.search(line):
        return None
    if any(pattern.search(line) for pattern in _SAID):
        return "said"
    return "told" if _TOLD.search(line) else None


def _failure(line: str, frame: str | None, *, told: bool) -> Failure:
    path = frame or _path_in(line)
    inside = _INSIDE.search(path or "") or _INSIDE.search(line)
    package = canonicalize_name(inside["top"].removesuffix(".libs")) if inside else None
    return Failure(line[:_LONGEST], package, _short(path) if path else None, told, _LATE.search(line) is not None)


def _path_in(line: str) -> str | None:
    match = _OBJECT.search(line) or _SOURCE.search(line)
    return match["path"] if match else None


def _short(path: str) -> str:
    return re.sub(r"^.*/(?:site|dist)-packages/", "", path)
