"""Where builds are made: a directory that goes away, a build environment, a log, and a tool that reports progress."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.builds.errors import NativeBuildFailedError
from verl_env.builds.log_excerpt import log_excerpt
from verl_env.builds.progress import BuildSteps
from verl_env.builds.variables import build_variables
from verl_env.credentials import hide_secrets
from verl_env.environment.files import remove_trees
from verl_env.installers.base import Command
from verl_env.installers.pip import build_command
from verl_env.installers.process import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import IO

    from verl_env.builds.model import BuildHost, Job, Places
    from verl_env.installers.base import Source
    from verl_env.plans.reporter import Reporter

#: With the host, as several may share a directory: a number says nothing of processes elsewhere.
_PREFIX = f"verl-env-build-{os.uname().nodename}-"
#: Logs that are kept; older ones go.
KEPT_LOGS = 50
_LONGEST_LINE = 1 << 16


class Workshop:
    """Runs the commands of builds.

    Args:
        root: A directory for everything that builds make; see ``opened``.
        host: Tools and variables.
        places: Where sources and logs are kept.
        reporter: Who is told.
        source: Where pip takes source distributions from.
    """

    def __init__(self, root: Path, host: BuildHost, places: Places, reporter: Reporter, source: Source) -> None:
        self.root = root
        self.host = host
        self.places = places
        self.reporter = reporter
        self._source = source
        #: The interpreter of the build environment, once there is one.
        self.python = root / "env" / "bin" / "python"
        home = host.toolchain.cuda_home
        #: What placeholders stand for: ``cuda``, ``site``, and the directories of components that were built before.
        self.values: dict[str, str] = {"cuda": home if isinstance(home, str) else ""}
        #: Lists of directories that are put after the user's own (``CPATH``).
        self.paths: dict[str, str] = {}
        #: The sha256 of each source that is a file, by component.
        self.hashes: dict[str, str] = {}

    @property
    def offline(self) -> bool:
        """Whether nothing may be fetched."""
        return self._source.offline

    def room(self, name: str) -> Path:
        """An empty directory of that name."""
        place = self.root / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return place

    def variables(self, job: Job) -> dict[str, str]:
        """The variables of a job's commands."""
        temporary = self.root / "tmp"
        temporary.mkdir(exist_ok=True)
        values = {**self.values, "jobs": str(job.jobs)}
        env = build_variables(job, self.host, python=self.python, room=temporary, values=values)
        return env | {name: ":".join(filter(None, (env.get(name), more))) for name, more in self.paths.items()}

    def pip(self, job: Job, verb: str, *arguments: str) -> None:
        """Runs pip in the build environment: no isolation, no dependencies, no results of other environments.

        Raises:
            NativeBuildFailedError: it failed.
        """
        self.run(job, build_command(self.python, verb, self._source, arguments))

    def run(
        self, job: Job, argv: tuple[str, ...], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        """Runs a command of a job: its output goes into the job's log, its steps to the reporter.

        Raises:
            NativeBuildFailedError: it failed; the log holds all of its output.
        """
        steps, started = BuildSteps(), time.monotonic()
        with self.log(job).open("ab") as log:
            lines = _Lines(log)
            lines.write(f"\n$ {' '.join(argv)}\n".encode("utf-8", "surrogateescape"))
            log.flush()
            command = Command(argv, self.variables(job) if env is None else env)
            try:
                done = run(command, watch=self._watch(job, lines, steps, started), cwd=cwd or self.root)
            finally:
                lines.end()
        if done.code != 0:
            raise NativeBuildFailedError(job.name, _what(argv), done.code, self.log(job), log_excerpt(done.output))

    def log(self, job: Job) -> Path:
        """The file with the output of a job."""
        self.places.logs.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^\w.-]+", "-", f"{job.build.name}-{job.build.version}")
        return self.places.logs / f"{name}-{os.getpid()}.log"

    def _watch(self, job: Job, log: _Lines, steps: BuildSteps, started: float) -> Callable[[bytes], None]:
        def watch(data: bytes) -> None:
            if data:
                log.write(data)
                steps.feed(data)
            self.reporter.building(job.name, steps.done, steps.total, time.monotonic() - started)

        return watch


class _Lines:
    """A log that gets whole lines, without the secrets in them: git's errors quote addresses with their passwords."""

    def __init__(self, log: IO[bytes]) -> None:
        self._log = log
        self._rest = b""

    def write(self, data: bytes) -> None:
        whole, newline, rest = (self._rest + data).rpartition(b"\n")
        if len(rest) > _LONGEST_LINE:
            whole, newline, rest = whole + newline + rest, b"", b""
        self._rest = rest
        self._log.write(_hidden(whole + newline))

    def end(self) -> None:
        self._log.write(_hidden(self._rest))
        self._rest = b""


def _hidden(data: bytes) -> bytes:
    return hide_secrets(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


@contextlib.contextmanager
def opened(host: BuildHost) -> Iterator[Path]:
    """A directory for builds below ``TMPDIR``; it goes with everything in it, and so do those of dead runs.

    Raises:
        OSError: it cannot be made.
    """
    base = Path(host.environ.get("TMPDIR") or tempfile.gettempdir())
    _clear_dead(base)
    root = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=base))
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def trim_logs(places: Places) -> None:
    """Removes the oldest logs beyond those that are kept."""
    with contextlib.suppress(OSError):
        logs = sorted(places.logs.glob("*.log"), key=lambda path: path.stat().st_mtime)
        for log in logs[:-KEPT_LOGS]:
            log.unlink()


def _clear_dead(base: Path) -> None:
    """Removes what runs of this user left that were killed; a process of that number may be another one by now."""
    with contextlib.suppress(OSError):
        for path in base.glob(f"{_PREFIX}*-*"):
            number = path.name.removeprefix(_PREFIX).partition("-")[0]
            if path.stat().st_uid == os.getuid() and number.isdigit() and not Path("/proc", number).exists():
                remove_trees([path])


def _what(argv: tuple[str, ...]) -> str:
    """A command in few words."""
    if "pip" in argv[:3]:
        return f"pip {next((word for word in argv[5:] if not word.startswith('-')), '')}".strip()
    return " ".join(argv[:3])
