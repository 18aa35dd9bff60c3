"""An environment whose ``ray`` stands for Ray, and answers as 2.10 to 2.60 were seen to; each node is a thread here."""

import json
import sys

#: ``LAB_RAY`` is a JSON object: ``nodes`` as ``ray.nodes()`` gives them (NodeName, NodeID, Alive), ``unreached`` what
#: ``ray.init`` raises, ``dies`` the names of nodes whose raylet is gone by the time their task comes, ``silent`` those
#: that never get a worker, ``stuck`` those that get one and whose command never ends; ``slow`` is how many seconds a
#: worker takes.
_RAY = """
import json, os, threading, time
__version__ = "2.47.1"
_lab = json.loads(os.environ["LAB_RAY"])
_store = {}

class TaskUnschedulableError(Exception):
    pass

def init(**options):
    assert set(options) == {"address", "log_to_driver", "logging_level", "namespace"}, options
    if _lab.get("unreached"):
        raise ConnectionError(_lab["unreached"])

def nodes():
    return [{"NodeManagerAddress": "10.0.0.%d" % number, **each} for number, each in enumerate(_lab["nodes"], 1)]

def put(value):
    _store[len(_store)] = value
    return ("ref", len(_store) - 1)

class _Task(threading.Thread):
    def __init__(self, call, arguments, node):
        super().__init__(daemon=True)
        self.call, self.arguments, self.node = call, arguments, node
        self.start()
    def run(self):
        name = next(each["NodeName"] for each in _lab["nodes"] if each["NodeID"] == self.node)
        if name in _lab.get("silent", ()) or (self.arguments and name in _lab.get("stuck", ())):
            time.sleep(600)
        time.sleep(0 if self.arguments else _lab.get("slow", 0))
        try:
            if name in _lab.get("dies", ()):
                raise TaskUnschedulableError("The node of the task is dead.\\nMore words.")
            self.result = self.call(*self.arguments)
        except Exception as error:
            self.result = error

def get(what):
    if isinstance(what, tuple):
        return _store[what[1]]
    what.join()
    if isinstance(what.result, Exception):
        raise what.result
    return what.result

def wait(tasks, timeout):
    ready = [task for task in tasks if not task.is_alive()]
    if not ready:
        time.sleep(0.05)
    return ready, [task for task in tasks if task not in ready]

class remote:
    def __init__(self, call):
        self.call = call
    def options(self, num_cpus, max_retries, scheduling_strategy):
        assert (num_cpus, max_retries, scheduling_strategy["soft"]) == (0, 0, False)
        self.node = scheduling_strategy["node_id"]
        return self
    def remote(self, *arguments):
        return _Task(self.call, arguments, self.node)
"""


def node(name, *, alive=True, number=0):
    """A node as Ray names it."""
    return {"NodeName": name, "NodeID": f"{name}-{number}", "Alive": alive}


def put_ray(folder, monkeypatch, nodes, **more):
    """Makes the environment and tells its Ray which nodes there are; the path of the environment."""
    package = folder / "env/lib/python3.11/site-packages/ray"
    (package / "util").mkdir(parents=True)
    (package / "__init__.py").write_text(_RAY)
    (package / "util/__init__.py").write_text("")
    (package / "util/scheduling_strategies.py").write_text("NodeAffinitySchedulingStrategy = dict\n")
    python = folder / "env/bin/python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nPYTHONPATH={package.parent} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("LAB_RAY", json.dumps({"nodes": nodes, **more}))
    return folder / "env"
