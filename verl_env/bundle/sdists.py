"""Source distributions become wheels while a bundle is made: the host that installs need not build them.

Only a wheel that the other machine can use takes the place of its source: one of pure Python, or one that was built
for the same Python and architecture. The others go along as they are, with what builds of them need.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename

from verl_env.bundle.model import WHEELS, File
from verl_env.install.errors import InterpreterMissingError
from verl_env.install.interpreter import find_interpreter
from verl_env.installers.process import run
from verl_env.installers.sdists import wheel_command
from verl_env.wheels.fetch import file_sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from verl_env.bundle.gather import Progress
    from verl_env.bundle.lookup import Fetch
    from verl_env.locksets.target import LockTarget


class SdistBuilder:
    """Builds wheels of source distributions into a bundle.

    Args:
        root: The directory of the bundle.
        constraints: Of a source distribution, those of its lockset for what builds require.
        progress: Told of each.
    """

    def __init__(self, root: Path, constraints: Callable[[Fetch], Sequence[str]], progress: Progress) -> None:
        self._root = root
        self._constraints = constraints
        self._progress = progress
        self.built: list[File] = []
        #: Sources that stay as they are, with the reason.
        self.kept: dict[str, str] = {}

    def build(self, fetch: Fetch, sdist: Path) -> None:
        """Builds one, or notes why it stays a source."""
        try:
            wheel = self._wheel(fetch, sdist)
        except (InterpreterMissingError, OSError, ValueError) as error:
            self.kept[fetch.path] = str(error)
            self._progress.note(f"{sdist.name} stays a source distribution: {error}")
            return
        path, size = f"{WHEELS}/{wheel.name}", wheel.stat().st_size
        digest = file_sha256(wheel)
        self.built.append(File(path, size, digest, "sdist-wheel", fetch.name, fetch.version, fetch.path))
        self._progress.note(f"{sdist.name}: built {wheel.name}")

    def _wheel(self, fetch: Fetch, sdist: Path) -> Path:
        interpreter = find_interpreter(fetch.target.python, None)
        with tempfile.TemporaryDirectory(prefix="verl-env-sdist-") as room:
            out = Path(room) / "out"
            constraints = Path(room) / "constraints.txt"
            constraints.write_text("".join(f"{line}\n" for line in self._constraints(fetch)), encoding="utf-8")
            done = run(wheel_command(interpreter, sdist, out, constraints))
            found = sorted(out.glob("*.whl")) if out.is_dir() else []
            if done.code != 0 or len(found) != 1:
                last = done.output.strip().splitlines()[-1:] or ["no output"]
                raise ValueError(f"it did not build here ({last[0].strip()})")
            _check(found[0].name, fetch.target)
            kept = self._root / WHEELS / found[0].name
            content = found[0].read_bytes()
        part = kept.with_name(f".{kept.name}.part")
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(kept)
        return kept


def _check(name: str, target: LockTarget) -> None:
    """Refuses a wheel that the other machine may not be able to use.

    Raises:
        ValueError: it has compiled parts and is for another architecture, or nobody knows for which glibc.
    """
    tags = parse_wheel_filename(name)[3]
    if not any(tag in target.tags for tag in tags):
        raise ValueError(f"{name}, as it builds here, is for another machine")
    if any(tag.platform.startswith("linux_") for tag in tags):
        raise ValueError("it has compiled parts, which are built where they run")
