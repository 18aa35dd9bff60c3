"""Imports point one way, and the start-up path stays light."""

import ast
import functools
import graphlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

from tests.each import each

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "verl_env"

#: The rooms in their order: each may import those that it names, and no room one that is above it.
PLANS = {"machine", "locksets", "components", "choose", "environment", "installers", "wheels"}
MAKING = {*PLANS, "plans", "builds", "additions"}
#: What each layer may import besides itself, the standard library and its dependencies.
ALLOWED = {
    "settings": set(),
    "binaries": set(),
    "components": set(),
    "machine": set(),
    "locksets": set(),
    "environment": set(),
    "choose": {"machine", "locksets", "components"},
    "installers": {"settings", "machine", "locksets", "environment"},
    "wheels": {"settings", "machine", "locksets", "components", "binaries", "choose", "environment", "installers"},
    "plans": PLANS,
    "builds": {"settings", *PLANS, "plans"},
    "additions": {*PLANS, "plans", "builds"},
    "install": {"settings", *MAKING},
    "patches": {"machine", "environment", "installers", "wheels", "install"},
    "doctor": {*MAKING, "binaries", "install", "patches"},
    "bundle": {"settings", "binaries", *MAKING, "install"},
    "catalogue": {"settings", "locksets", "components"},
    "verify": {"machine", "doctor"},
    "facts": {"machine", "locksets"},
    "cluster": {*MAKING, "install", "doctor", "bundle"},
    "cli": {
        *MAKING,
        "settings",
        "binaries",
        "install",
        "patches",
        "bundle",
        "doctor",
        "cluster",
        "verify",
        "facts",
        "catalogue",
    },
}
SHARED = {
    "command_line",
    "constraints",
    "credentials",
    "errors",
    "interrupts",
    "locking",
    "places",
    "reading",
    "records",
    "shapes",
    "sizes",
    "texts",
    "uv_program",
    "versions",
    "wording",
}
#: What runs in the target environment: the runtime, and the programs of the proofs.
FOREIGN = {"runtime", "programs"}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if not FOREIGN & set(path.parts))


@functools.cache
def nodes(path):
    """The imports, calls and lists of a module, wherever they stand."""
    kept = (ast.Import, ast.ImportFrom, ast.Call, ast.Tuple, ast.List)
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kept)]


def imported_layers(path):
    """The first names below ``verl_env`` that a module imports, wherever the import stands."""
    for node in nodes(path):
        names = []
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "verl_env" and len(parts) > 1:
                yield parts[1]


@each("path", MODULES)
def test_imports_point_one_way(path):
    parts = path.relative_to(PACKAGE).parts
    if len(parts) == 1:
        return
    layer = parts[0]
    assert layer in ALLOWED, f"{layer} is a new layer: say here what it may import"
    foreign = {name for name in imported_layers(path) if not name.startswith("__")} - {layer} - SHARED
    assert foreign <= ALLOWED[layer]


def module_name(path):
    """The dotted name of a module; that of a package is the package's own."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_modules(path, known):
    """The modules of verl-env that a module imports, for types alone too, wherever the import stands.

    To import a module runs the packages that it lies in, but for those that the importing one lies in itself.
    """
    own = module_name(path)
    for node in nodes(path):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            reached = [one for end in range(len(parts)) if (one := ".".join(parts[: end + 1])) in known]
            yield from (one for one in reached[:-1] if not f"{own}.".startswith(f"{one}."))
            yield from reached[-1:]


def test_no_module_imports_itself_by_way_of_others():
    known = {module_name(path): path for path in MODULES}
    graph = {name: set(imported_modules(path, known)) - {name} for name, path in known.items()}
    graphlib.TopologicalSorter(graph).prepare()


def test_rooms_have_an_order():
    graphlib.TopologicalSorter(ALLOWED).prepare()


def test_the_runtime_imports_nothing_of_the_tool():
    runtime = [path for path in PACKAGE.rglob("*.py") if "runtime" in path.relative_to(PACKAGE).parts[:1]]
    assert not [path for path in runtime for _ in imported_layers(path)]


def test_no_module_imports_torch_or_vllm():
    heavy = {"torch", "vllm", "sglang", "flash_attn", "transformers"}
    for path in MODULES:
        for node in nodes(path):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            assert not heavy & {name.split(".")[0] for name in names}, path


def test_planning_for_a_recorded_machine_starts_light(tmp_path):
    machine = tmp_path / "machine.json"
    machine.write_text('{"schema": 1, "nvidia": null, "amd": null}')
    code = (
        "import sys; from verl_env.cli.main import main;"
        f"main(['plan', '--stack', 'vllm', '--machine', {str(machine)!r}, '--json']);"
        "print(*sys.modules, file=sys.stderr)"
    )
    env = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path)}
    del env["VERL_ENV_CONFIG"]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    loaded = set(done.stderr.split())
    assert not loaded & {"pathlib", "ipaddress", "urllib.parse"}
    assert not loaded & {"rich", "packaging", "subprocess", "logging", "importlib.metadata", "elftools", "pip", "uv"}
    assert not loaded & {"typing", "resolvelib"}
    assert "verl_env.choose.choose" in loaded


#: What changes an environment as users see it; only the room of environments may call these.
WRITES = {"write_state", "write_pins", "write_entries", "relocate", "point_to", "put_in_force", "remove_trees"}
#: Not an environment that is in force: what a build fetched, a tree that is packed.
OTHER_TREES = {"builds", "bundle", "cluster"}


def test_only_one_room_changes_environments():
    for path in MODULES:
        if path.relative_to(PACKAGE).parts[0] in {"environment", *OTHER_TREES}:
            continue
        for node in nodes(path):
            name = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
            assert name not in WRITES, f"{path} calls {name}"


#: What resolves for a lock or for another machine, by commands of its own, and what runs without verl-env.
OWN_COMMANDS = {"locksets", "bundle"}


def test_only_one_room_starts_installers():
    """No other module composes ``python -m pip`` or ``uv pip``."""
    for path in MODULES:
        if path.relative_to(PACKAGE).parts[0] in {"installers", *OWN_COMMANDS}:
            continue
        for node in nodes(path):
            items = node.elts if isinstance(node, ast.Tuple | ast.List) else []
            words = [each.value if isinstance(each, ast.Constant) else None for each in items]
            assert ("-m", "pip") not in itertools.pairwise(words), path
            assert ("pip", "install") not in itertools.pairwise(words), path
