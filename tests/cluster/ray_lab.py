"""A real Ray cluster of many nodes on this host, for tests, in the Ray of an environment."""

import json
import os
import subprocess
from pathlib import Path

PROGRAM = Path(__file__).parent / "e2e/ray_nodes.py"


class RayLab:
    """Nodes ``r01`` and so on; ``variables`` are those of the Ray of some nodes, by name."""

    def __init__(self, environment, count, variables=None):
        self.environment = Path(environment)
        self.names = [f"r{number:02d}" for number in range(1, count + 1)]
        self.variables = variables or {}

    def __enter__(self):
        asked = json.dumps({"names": self.names, "variables": self.variables})
        # Ray gives a first worker 60 s, and a client whose node has none then waits for ever: 16 nodes need more here.
        patient = {"RAY_raylet_start_wait_time_s": "120", "RAY_worker_register_timeout_seconds": "300"}
        env = {**os.environ, **patient, "RAY_DISABLE_IMPORT_WARNING": "1"}
        self._child = subprocess.Popen(
            [self.environment / "bin/python", PROGRAM, asked],
            env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            self.address = self._line("READY ")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._child.stdin.close()
        try:
            self._child.wait(60)
        finally:
            self._child.kill()
            self._child.wait()
            self._child.stdout.close()

    def kill(self, name):
        """Ends the processes of a node as if its power went."""
        self._child.stdin.write(f"kill {name}\n")
        self._child.stdin.flush()
        self._line("KILLED")

    def _line(self, head):
        for line in self._child.stdout:
            if line.startswith(head):
                return line.removeprefix(head).strip()
        raise EOFError(f"Ray ended before {head}")
