"""uv: fast, with hard links from its cache where they work."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.environment.files import hard_links_work
from verl_env.installers.base import Cache, Command
from verl_env.installers.failures import InstallerMissingError, InstallerSilentError
from verl_env.installers.isolation import installer_environment
from verl_env.machine.child import Completed, NotFound, NotStarted, run
from verl_env.uv_program import uv_program
from verl_env.versions import at_least

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.installers.base import Batch
    from verl_env.machine.child import Outcome

#: The first release with everything that is used here (``uv pip sync --require-hashes`` with ``--no-progress``).
OLDEST = "0.9"
#: Seconds that it has for an answer about itself.
_SECONDS = 20.0


class Uv:
    """uv by its full path.

    Args:
        executable: The program.
        version: Its version.
        copy: Whether to copy out of the cache, where hard links do not work.
    """

    name = "uv"

    def __init__(self, executable: str, version: str, *, copy: bool = False) -> None:
        self.executable = executable
        self.version = version
        self.copy = copy

    def make_environment(self, path: Path, interpreter: str, prompt: str) -> Command:
        return self._command("venv", "--no-project", "--python", interpreter, "--prompt", prompt, "--quiet", str(path))

    def install(self, environment: Path, batch: Batch) -> Command:
        arguments = ["--python", str(environment / "bin" / "python")]
        arguments += [] if batch.dependencies else ["--no-deps"]
        # A file that was changed in place was changed in the cache too, where it is linked out of it.
        arguments += ["--reinstall"] if batch.fresh or batch.again else []
        arguments += ["--no-cache"] if batch.fresh else []
        arguments += ["--only-binary", ":all:"] if batch.wheels_only else []
        arguments += ["--constraints", str(batch.constraints)] if batch.constraints else []
        arguments += ["--require-hashes"] if batch.hashes else []
        arguments += ["--build-constraints", str(batch.build_constraints)] if batch.build_constraints else []
        arguments += [] if batch.isolated else ["--no-build-isolation"]
        # What was just installed is in the cache; --reinstall alone asks the index for it and fetches it once more.
        cached = batch.again and not os.environ.get("UV_NO_CACHE")
        if batch.source.offline and batch.source.links:
            arguments.append("--no-index")
        elif batch.source.offline or cached:
            arguments.append("--offline")
        arguments += batch.source.found
        return self._command("pip", "install", *arguments, "--requirements", str(batch.requirements))

    def resolve(self, environment: Path, arguments: Sequence[str], report: Path) -> Command:
        del report
        python = str(environment / "bin" / "python")
        argv = (self.executable, "pip", "install", "--python", python, "--color", "never", "--dry-run", *arguments)
        return Command(argv, installer_environment(os.environ))

    def passed_on(self, python: str, command: str, words: Sequence[str]) -> tuple[str, ...]:
        """The words of a command of ``uv pip`` for an interpreter, with the user's own arguments."""
        return (self.executable, "pip", command, "--python", python, *words)

    def cache_for(self, place: Path) -> Cache:
        if os.environ.get("UV_NO_CACHE"):
            return Cache(None, linked=False)
        path = Path(_ask(self.executable, "cache", "dir"))
        mode = os.environ.get("UV_LINK_MODE")
        if mode is not None:
            return Cache(path, linked=mode != "copy")
        with contextlib.suppress(OSError):
            path.mkdir(parents=True, exist_ok=True)
        self.copy = not hard_links_work(path, place)
        return Cache(path, linked=not self.copy)

    def _command(self, *arguments: str) -> Command:
        more = {"UV_LINK_MODE": "copy"} if self.copy else {}
        return Command((self.executable, *arguments), installer_environment(os.environ, **more))


def find_uv() -> Uv | None:
    """uv, where it is (``uv_program``); None where it is not.

    Raises:
        InstallerMissingError: it is too old.
        InstallerSilentError: it is there and does not say its version: no reason to take another one unasked.
    """
    executable = uv_program()
    if executable is None:
        return None
    answer = _ask(executable, "--version")
    match = re.match(r"uv (\d+(?:\.\d+)*)", answer)
    if match is None:
        raise InstallerSilentError("uv", executable, f"says {answer[:80]!r} as its version")
    if not at_least(match[1], OLDEST):
        raise InstallerMissingError("uv", found=match[1], needed=OLDEST)
    return Uv(executable, match[1])


def cache_of_uv() -> str | None:
    """The directory of uv's cache, as its configuration and variables have it; None where there is no uv."""
    executable = uv_program()
    return None if executable is None else _ask(executable, "cache", "dir")


def _ask(*argv: str) -> str:
    """What a command of uv prints.

    Raises:
        InstallerSilentError: it cannot be started, is killed, fails, or takes longer than it may.
    """
    outcome = run(argv, deadline=time.monotonic() + _SECONDS, env=installer_environment(os.environ))
    if isinstance(outcome, Completed) and outcome.returncode == 0:
        return outcome.stdout.decode("utf-8", "replace").strip()
    raise InstallerSilentError("uv", argv[0], f"gives no answer to {argv[-1]}: {_words(outcome)}")


def _words(outcome: Outcome) -> str:
    if isinstance(outcome, NotFound | NotStarted):
        return outcome.reason if isinstance(outcome, NotStarted) else "it cannot be started"
    if not isinstance(outcome, Completed):
        return f"none within {_SECONDS:.0f} s"
    said = outcome.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    code = outcome.returncode
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}{said and ': '}{said}"
