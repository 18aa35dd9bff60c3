"""Runs checks one after another in this process: what one has imported, the next has.

    python checks_in_one.py CHECKS.json DONE

CHECKS.json is a list of ``[id, code]``. Each check that passed is a line of DONE, its seconds. The process ends as the
first that fails would end it. Each runs as a script of its own would: as ``__main__``, with the variables, the
directory and the search path that there were at the start.
"""

from __future__ import annotations

import json
import os
import sys
import time
import types
from typing import TextIO


def main() -> None:
    """Runs them all."""
    source, done = sys.argv[1:3]
    with open(source, encoding="utf-8") as file:
        checks = json.load(file)
    mine, output = os.getpid(), os.open(done, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    start = dict(os.environ), os.getcwd(), sys.path[:], sys.stdout, sys.stderr
    for name, code in checks:
        begun = time.monotonic()
        run(name, code)
        if os.getpid() != mine:  # a check that forked: the other half ends here, as its script would
            return
        restore(*start)
        os.write(output, f"{time.monotonic() - begun:.3f}\n".encode())


def run(name: str, code: str) -> None:
    """Runs one check; its exit with code 0 is the end of the check alone."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"], sys.argv = module, [name]
    try:
        exec(compile(code, f"<check {name}>", "exec"), vars(module))  # noqa: S102
    except SystemExit as leaving:
        if leaving.code not in (None, 0):
            raise


def restore(variables: dict[str, str], directory: str, path: list[str], stdout: TextIO, stderr: TextIO) -> None:
    """Takes back what a check may change for those after it, but for what is imported."""
    if dict(os.environ) != variables:
        os.environ.clear()
        os.environ.update(variables)
    os.chdir(directory)
    sys.path[:], sys.stdout, sys.stderr = path, stdout, stderr


if __name__ == "__main__":
    main()
