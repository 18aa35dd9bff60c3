"""The names that a source file binds: what others can import of it, and what its classes and functions take.

Keys are ``name``, ``Class.member`` and ``function(argument``. A source is parsed, never run. What it imports counts
where it is a package's ``__init__``, as that is how packages publish; ``__all__`` and the lists of lazy modules count
everywhere, as nothing else names what they bring.
"""

from __future__ import annotations

import ast
import re
import warnings
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NO_ARGUMENTS = frozenset({"self", "cls"})
_LISTS = frozenset({"__all__", "_import_structure", "_lazy_imports", "import_structure"})
#: An attribute that a method sets on its object; to walk every function for them takes twice as long as all the rest.
_OF_SELF = re.compile(r"^[ \t]+self\.(?P<name>[A-Za-z]\w*)[ \t]*(?::[^=\n]{1,120})?=(?!=)", re.MULTILINE)


def names_of(text: str, *, package: bool) -> frozenset[str] | None:
    """The keys of a source; None where it cannot be parsed.

    Args:
        text: The source.
        package: Whether it is the ``__init__`` of a package.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
    return frozenset((*_module(tree.body, package=package), *_of_self(tree, text)))


def _module(body: Sequence[ast.stmt], *, package: bool) -> Iterator[str]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name
            yield from _arguments(node, node.name)
        elif isinstance(node, ast.ClassDef):
            yield node.name
            yield from _members(node)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            given = (alias.asname or alias.name.split(".")[0] for alias in node.names if alias.name != "*")
            yield from given if package else ()
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr)):
            yield from _bound(node)
        else:
            for inner in _blocks(node):
                yield from _module(inner, package=package)


def _bound(node: ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Expr) -> Iterator[str]:
    """What an assignment binds, and what ``__all__`` and the lists of lazy modules name."""
    if isinstance(node, ast.Expr):
        spoken = [leaf.id for leaf in ast.walk(node) if isinstance(leaf, ast.Name)]
    else:
        spoken = list(_targets(node))
        yield from spoken
    if _LISTS.intersection(spoken):
        yield from _strings(node)


def _blocks(node: ast.stmt) -> Iterator[Sequence[ast.stmt]]:
    for field in ("body", "orelse", "finalbody"):
        yield getattr(node, field, [])
    for handler in getattr(node, "handlers", []):
        yield handler.body


def _targets(node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> Iterator[str]:
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        found = target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]
        for leaf in found:
            base = leaf.value if isinstance(leaf, ast.Subscript) else leaf
            if isinstance(base, ast.Name):
                yield base.id


def _strings(node: ast.AST) -> Iterator[str]:
    for leaf in ast.walk(node):
        if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str) and leaf.value.isidentifier():
            yield leaf.value


def _members(owner: ast.ClassDef) -> Iterator[str]:
    """Public methods with their arguments, and attributes of the class and of its objects."""
    for node in owner.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if node.name == "__init__":
                yield from _arguments(node, owner.name)
            elif not node.name.startswith("_"):
                yield f"{owner.name}.{node.name}"
                yield from _arguments(node, f"{owner.name}.{node.name}")
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            yield from (f"{owner.name}.{name}" for name in _targets(node) if not name.startswith("_"))


def _of_self(tree: ast.Module, text: str) -> Iterator[str]:
    """Attributes that methods set, each with the class whose lines hold it."""
    found = (node for node in tree.body if isinstance(node, ast.ClassDef))
    classes = sorted((node.lineno, node.end_lineno or node.lineno, node.name) for node in found)
    starts = [first for first, _, _ in classes]
    line, at = 1, 0
    for match in _OF_SELF.finditer(text) if classes else ():
        line, at = line + text.count("\n", at, match.start()), match.start()
        place = bisect_right(starts, line) - 1
        if place >= 0 and line <= classes[place][1]:
            yield f"{classes[place][2]}.{match['name']}"


def _arguments(function: ast.FunctionDef | ast.AsyncFunctionDef, called: str) -> Iterator[str]:
    given = function.args
    for one in (*given.posonlyargs, *given.args, *given.kwonlyargs):
        if one.arg not in _NO_ARGUMENTS:
            yield f"{called}({one.arg}"
    if given.kwarg is not None:
        yield f"{called}(**"
