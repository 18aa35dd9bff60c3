"""What keeps the house readable: names that mean one thing, folders that fit on a page, doors that all go through."""

from __future__ import annotations

import ast
import itertools
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "verl_env"
#: What runs without the tool: the runtime, the programs of the proofs and installers.
FOREIGN = {"runtime", "programs"}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if not FOREIGN & set(path.parts))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}
#: Files of a folder, sub-folders not counted.
MOST = 26
#: Generated pages, one for each check, lockset or component.
PAGES = {"docs/doctor"}


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no checkout")
    return [path for path in map(Path, listed.stdout.splitlines()) if (ROOT / path).exists()]


def test_no_folder_holds_more_than_a_page() -> None:
    files = Counter(str(path.parent) for path in tracked())
    assert {folder: count for folder, count in files.items() if count > MOST and folder not in PAGES} == {}


def test_no_two_classes_have_one_name() -> None:
    names = [(node.name, path) for path, tree in TREES.items() for node in tree.body if isinstance(node, ast.ClassDef)]
    several = Counter(name for name, _ in names)
    assert [(name, str(path)) for name, path in names if several[name] > 1] == []


def test_values_are_records_and_dataclasses_are_what_changes() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{node.name}"
        for path, tree in TREES.items()
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        and any("frozen=True" in ast.unparse(decorator) for decorator in node.decorator_list)
    ]
    assert found == []


PROGRAMS = {"pip", "uv"}
#: What uv and pip are told to do; uv takes the first four without ``pip``, and ``python -m`` has the second too.
VERBS = {
    "build",
    "venv",
    "sync",
    "lock",
    "install",
    "uninstall",
    "download",
    "wheel",
    "config",
    "freeze",
    "list",
    "cache",
}
_NAMED = re.compile(r"(?<![A-Za-z])(pip|uv)(?![a-z])")
COMMANDS_OF = {path: tree for path, tree in TREES.items() if path.relative_to(PACKAGE).parts[0] != "installers"}
COMMANDS_OF |= {
    path: ast.parse(path.read_text()) for path in PACKAGE.glob("*/programs/*.py") if "installers" not in path.parts
}


def _words(node: ast.Tuple | ast.List) -> list[object]:
    """The items of a literal, those of literals that are unpacked in it among them; None for what is computed."""
    found: list[object] = []
    for item in node.elts:
        inner = item.value if isinstance(item, ast.Starred) else item
        if isinstance(item, ast.Starred) and isinstance(inner, ast.Tuple | ast.List):
            found += _words(inner)
        else:
            found.append(inner.value if isinstance(inner, ast.Constant) else None)
    return found


def _argv_of_an_installer(tree: ast.Module) -> list[int]:
    """Lines with ``[..., "pip", what]``, ``("-m", "pip")``, ``[uv, "build"]``, ``[join(pip, "pip"), "install"]`` or
    ``["venv", "--no-project"]``; sets of names of tools are none.
    """
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Tuple | ast.List):
            continue
        pairs = list(itertools.pairwise(_words(node)))
        ran = any(first == "pip" and second not in PROGRAMS for first, second in pairs) or ("-m", "pip") in pairs
        told = any(first in VERBS and isinstance(second, str) and second[:2] == "--" for first, second in pairs)
        computed = any(
            getattr(verb, "value", None) in VERBS and _NAMED.search(ast.unparse(program))
            for program, verb in itertools.pairwise(node.elts)
        )
        if ran or told or computed:
            found.append(node.lineno)
    return found


def test_only_one_room_composes_commands_of_uv_and_pip() -> None:
    found = {
        f"{path.relative_to(PACKAGE)}:{line}"
        for path, tree in COMMANDS_OF.items()
        for line in _argv_of_an_installer(tree)
    }
    assert found == set()


@pytest.mark.parametrize(
    ("code", "is_one"),
    [
        ('[python, "-m", "pip", "list"]', True),
        ('(uv, "pip", verb)', True),
        ('[*("pip", "install"), name]', True),
        ('[uv, "build", "--wheel"]', True),
        ('shlex.join(["uv", "pip", verb, *words])', True),
        ('[python, os.path.join(pip, "pip"), "install", "--quiet"]', True),
        ('run(["venv", "--no-project", "--python", python])', True),
        ('[*("pip", "install", "--dry-run"), *("--python", python)]', True),
        ('[sys.executable, "-m", "pip", "config", "get", name]', True),
        ('("uv", "pip")', False),
        ('{"pip", "uv"}', False),
        ('command("pip", "install")', False),
        ('[name, "build"]', False),
    ],
)
def test_what_counts_as_a_command(code: str, is_one: bool) -> None:
    assert bool(_argv_of_an_installer(ast.parse(code))) is is_one


#: What writes files, and the modules that write where packages are though they are not of the room of environments.
WRITES = {"write_text", "write_bytes", "rewrite_bytes", "touch", "symlink_to", "link_or_copy"}
#: A copy that is no environment in force (a packed prefix, a build's own environment, what a resolver is shown).
COPIES = {"bundle/packing", "builds", "locksets/replay.py", "additions/metadata.py", "installers/step_resolver.py"}


def _writes_beside_packages(tree: ast.Module) -> list[int]:
    """Lines of functions that name a directory of packages and write or remove a file."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef):
            continue
        text = ast.unparse(node)
        calls = {
            getattr(call.func, "attr", getattr(call.func, "id", ""))
            for call in ast.walk(node)
            if isinstance(call, ast.Call)
        }
        if ("site_packages" in text or "site-packages" in text or ".site" in text or "dist-info" in text) and (
            calls & {*WRITES, "unlink", "rmtree"}
        ):
            found.append(node.lineno)
    return found


def test_only_one_room_writes_where_packages_are() -> None:
    found = {
        f"{name}:{line}"
        for path, tree in TREES.items()
        for name in [path.relative_to(PACKAGE).as_posix()]
        if not name.startswith(("environment/", *COPIES))
        for line in _writes_beside_packages(tree)
    }
    assert found == set()
