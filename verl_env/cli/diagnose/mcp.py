"""``verl-env mcp``: probe, plan, doctor and verify as tools of the Model Context Protocol, for assistants.

Every tool only reads: it runs the command of its name with ``--json`` in a process of its own and gives back the
document, so that an assistant sees what a user sees. Values are passed as ``--flag=value``, never as flags.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import verl_env
from verl_env.errors import EXIT_MISUSE, EXIT_OK, VerlEnvError

if TYPE_CHECKING:
    import argparse

#: Seconds that a tool may take; verify works on a GPU.
DEADLINE, VERIFY_DEADLINE = 300.0, 3600.0
_TAIL, _MOST_BYTES = 2000, 64_000_000


class McpMissingError(VerlEnvError):
    """The library of the Model Context Protocol is not installed."""

    id = "mcp-missing"
    exit_code = EXIT_MISUSE
    says = "the library mcp (2.0 or newer) is not installed in verl-env's own environment"

    @property
    def hint(self) -> str:
        return f"install it: {sys.executable} -m pip install 'mcp>=2'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``verl-env mcp``: none, as a client starts it and talks over its standard streams."""
    parser.description = "Serves probe, plan, doctor and verify as read-only tools over standard input and output."


def main(_: argparse.Namespace) -> int:
    """Serves until the client closes its end.

    Raises:
        McpMissingError: the library is not there.
    """
    try:
        from mcp.server import MCPServer
        from mcp.types import ToolAnnotations
    except ImportError as error:
        raise McpMissingError from error
    server = MCPServer("verl-env")
    for tool in (probe, plan, doctor, doctor_report, verify):
        server.add_tool(tool, annotations=ToolAnnotations(read_only_hint=True))
    server.run("stdio")
    return EXIT_OK


def probe() -> dict[str, Any]:
    """The facts of this machine: GPUs, driver, CUDA or ROCm, glibc, compilers, Pythons; each with its source."""
    return _asked("probe")


def plan(
    stack: str, gpu: str | None = None, driver: str | None = None, python: str | None = None, verl: str | None = None
) -> dict[str, Any]:
    """What would be installed for a stack (vllm, sglang, vllm+megatron), and why each other lockset is refused.

    gpu (h100:8, mi300x, sm_90) and driver describe another machine than this one.
    """
    return _asked("plan", "--explain", stack=stack, gpu=gpu, driver=driver, python=python, verl=verl)


def doctor(environment: str | None = None) -> dict[str, Any]:
    """Diagnoses a Python environment (a directory) on this machine: findings, causes, remedies."""
    return _asked("doctor", into=environment)


def doctor_report(text: str) -> dict[str, Any]:
    """Diagnoses what a pasted issue, log, traceback, pip list or collect_env says; ok is null for what is not known."""
    with tempfile.TemporaryDirectory(prefix="verl-env-") as folder:
        file = Path(folder) / "report.txt"
        file.write_text(text, encoding="utf-8", errors="replace")
        return _asked("doctor", f"--report={file}")


def verify(environment: str | None = None) -> dict[str, Any]:
    """Proves an environment by what it does on this machine's GPU; takes minutes and changes nothing."""
    return _asked("verify", into=environment, deadline=VERIFY_DEADLINE)


def _asked(command: str, *flags: str, deadline: float = DEADLINE, **values: str | None) -> dict[str, Any]:
    """The JSON document of a command, with its exit code."""
    from verl_env.machine.child import run
    from verl_env.machine.process import Completed

    options = [f"--{name}={value}" for name, value in values.items() if value]
    argv = [
        sys.executable,
        "-I",
        str(Path(verl_env.__file__).with_name("__main__.py")),
        command,
        *flags,
        *options,
        "--json",
    ]
    outcome = run(argv, deadline=time.monotonic() + deadline, max_bytes=_MOST_BYTES)
    if not isinstance(outcome, Completed):
        return {"error": {"id": "no-answer", "message": f"{command}: {type(outcome).__name__}"}}
    try:
        document: dict[str, Any] = json.loads(outcome.stdout)
    except ValueError:
        said = outcome.stderr.decode("utf-8", "replace").strip()[-_TAIL:]
        return {"error": {"id": "no-document", "message": said}, "exit_code": outcome.returncode}
    return {**document, "exit_code": outcome.returncode}
